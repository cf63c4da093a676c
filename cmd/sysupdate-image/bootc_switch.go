package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// switchFlags are those of bootc switch.
type switchFlags struct {
	applyFlags
	rebootFlags
	transport       string
	signed          bool
	retain, inPlace bool
}

func (s *session) switchCommand() *cobra.Command {
	var f switchFlags
	cmd := &cobra.Command{
		Use:     "switch TARGET",
		Short:   "Follow another image, as bootc switch",
		GroupID: bootcGroup,
		Args:    needArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.reboot, f.applyFlags.softReboot = f.apply, f.rebootFlags.softReboot
			return s.switchTo(cmd, args[0], f)
		},
	}
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "print only the result")
	cmd.Flags().StringVar(&f.transport, "transport", "registry", "where TARGET is: `NAME` of a transport")
	cmd.Flags().BoolVar(&f.signed, "enforce-container-sigpolicy", false, "from now on, want every image signed")
	cmd.Flags().BoolVar(&f.retain, "retain", false, "pin the booted deployment")
	cmd.Flags().BoolVar(&f.inPlace, "mutate-in-place", false, "only note that the machine follows TARGET")
	completeValues(cmd, "transport", "registry", "oci", "oci-archive", "docker-archive", "dir")
	f.rebootFlags.add(cmd)
	addProgressFlag(cmd, &f.progressFD)
	f.source.add(cmd)
	return cmd
}

func (s *session) switchTo(cmd *cobra.Command, target string, f switchFlags) error {
	if target == "" {
		return usageError{errors.New("switch: TARGET is empty")}
	}
	ref := oci.Spell(f.transport, target, f.signed)
	if f.inPlace {
		if f.apply || f.rebootFlags.softReboot != "" || f.retain {
			return usageError{errors.New("switch: --mutate-in-place cannot be combined with --apply, --soft-reboot or --retain")}
		}
		return s.follow(ref)
	}
	if f.retain {
		if s.sysroot != "" {
			return usageError{errors.New("switch: --retain and --sysroot cannot be combined")}
		}
		if err := s.switchBoot(func(m *update.Machine) error { return m.Retain() }); err != nil {
			return err
		}
	}
	return s.apply(cmd, ref, f.applyFlags)
}

// follow has the machine follow a reference, and fetches nothing.
func (s *session) follow(ref string) error {
	return s.switchBoot(func(m *update.Machine) error {
		id, followed, err := m.Follow(ref)
		if err != nil {
			return err
		}
		return s.PrintFollowed(id, followed)
	})
}
