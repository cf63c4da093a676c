package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// upgradeFlags are those of bootc upgrade.
type upgradeFlags struct {
	applyFlags
	rebootFlags
	tag string
}

func (s *session) upgradeCommand() *cobra.Command {
	var f upgradeFlags
	cmd := &cobra.Command{
		Use:     "upgrade",
		Aliases: []string{"update"},
		Short:   "Fetch the newest image, as bootc upgrade",
		GroupID: bootcGroup,
		Args:    needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.reboot, f.applyFlags.softReboot = f.apply, f.rebootFlags.softReboot
			return s.upgrade(cmd, f)
		},
	}
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "print only the result")
	cmd.Flags().BoolVar(&f.check, "check", false, "report whether there is an update, and change nothing")
	cmd.Flags().StringVar(&f.tag, "tag", "", "follow `TAG` of the same name from now on")
	f.rebootFlags.add(cmd)
	f.addDownload(cmd)
	addProgressFlag(cmd, &f.progressFD)
	f.source.add(cmd)
	must(cmd.RegisterFlagCompletionFunc("tag", cobra.NoFileCompletions))
	return cmd
}

func (s *session) upgrade(cmd *cobra.Command, f upgradeFlags) error {
	if cmd.Flags().Changed("tag") && (f.tag == "" || f.fromDownloaded) {
		return usageError{errors.New("upgrade: --tag needs a tag, and cannot be combined with --from-downloaded")}
	}
	ref := ""
	if f.tag != "" {
		var err error
		if ref, err = update.FollowedWithTag(s.machine(), f.tag); err != nil {
			return err
		}
	}
	if !f.check {
		return s.apply(cmd, ref, f.applyFlags)
	}
	f.bootc = true
	err := s.apply(cmd, ref, f.applyFlags)
	if errors.As(err, &availableError{}) {
		return nil
	}
	return err
}
