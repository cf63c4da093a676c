package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

type resetFlags struct {
	o                                    update.ResetOptions
	keys                                 string
	plan, confirm, asJSON, quiet, reboot bool
}

func (f *resetFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.o.KeepEtc, "keep-etc", nil, "keep `FILE` of /etc (can be repeated)")
	cmd.Flags().BoolVar(&f.confirm, "confirm", false, "remove the state that is kept")
	cmd.Flags().BoolVar(&f.plan, "plan", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "with --plan: print JSON")
	cmd.Flags().BoolVar(&f.reboot, "apply", false, "reboot into it at once")
	cmd.Flags().BoolVar(&f.reboot, "reboot", false, "the same as --apply")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only the result")
	addKeysFlag(cmd, &f.keys)
}

// options returns what the flags ask for, for the deployment with a name.
func (f *resetFlags) options(s *session, name string) (o update.ResetOptions, err error) {
	switch {
	case f.confirm && (f.plan || f.reboot || name != "" || f.keys != "" || len(f.o.KeepEtc) > 0):
		return o, usageError{errors.New("install reset: --confirm can only be combined with --quiet")}
	case f.reboot && (s.sysroot != "" || f.plan):
		return o, usageError{errors.New("install reset: --reboot cannot be combined with --sysroot or --plan")}
	}
	o = f.o
	o.Name = name
	o.RootKeys, err = install.RootKeys(f.keys)
	return o, err
}
