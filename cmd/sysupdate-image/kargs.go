package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

const aboutKargs = `Show and change the kernel arguments of this machine.

They are in the boot entry of the booted deployment. A new deployment inherits them, together
with the changes in its image's kargs.d, so what was added or removed here stays so. A
rollback brings back the kernel arguments of the deployment that it leads to.

A change takes effect at the next boot. The booted deployment gets another boot entry, on
trial like an update where there is another deployment to go back to, and the entry before
stays in the boot loader's menu until it is pruned. Entries of changes that were never booted
are removed at once. A staged update gets the same change.

The kernel arguments of a sealed image are part of what is signed. There, add makes an addon:
an EFI program with the arguments, to be signed, see systemd-stub(7).`

func (s *session) kargsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kargs",
		Short: "Show and change the kernel arguments of this machine",
		Long:  aboutKargs,
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.kargsListCommand(), s.kargsAddCommand(), s.kargsRemoveCommand(), s.kargsEditCommand())
	return cmd
}

const aboutKargsList = `List the kernel arguments of the deployment that the next update follows, or of DEPLOYMENT,
each with where it comes from: deployment (it names what is booted), kargs.d (with the file of
the image), image (a sealed one), installer, or machine. Arguments that kargs.d asks for and
that were removed here come last. Any user can run it: a note says what only root could tell.
` + namingDeployments

func (s *session) kargsListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:               "list [DEPLOYMENT]",
		Short:             "List kernel arguments, and where they come from",
		Long:              aboutKargsList,
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: s.completeDeployments(1),
		RunE: func(_ *cobra.Command, args []string) error {
			k, err := s.kargs(first(args))
			if err != nil {
				return err
			}
			if asJSON {
				return s.PrintJSON(k)
			}
			for _, text := range k.Hidden {
				s.Say("Note: " + text)
			}
			return s.PrintKargs(k)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// kargs returns the kernel arguments of a deployment.
func (s *session) kargs(name string) (update.Kargs, error) {
	return update.ReadKargs(s.machine(), name, s.WarnOf)
}

const aboutKargsAdd = `Add kernel arguments after the present ones. An argument that is already there is not added
again. See sysupdate-image kargs for when a change takes effect.

On a machine with a sealed image, --addon FILE writes an addon with the arguments instead,
which is not signed. Sign it, as with sbsign(1), and put it beside the unified kernel image
when the image is built, in /boot/EFI/Linux/NAME.efi.extra.d.`

func (s *session) kargsAddCommand() *cobra.Command {
	var asJSON bool
	var addon string
	cmd := &cobra.Command{
		Use:   "add ARG...",
		Short: "Add kernel arguments",
		Long:  aboutKargsAdd,
		Example: `  sysupdate-image kargs add console=ttyS0 mitigations=off
  sysupdate-image kargs add --addon serial.addon.efi console=ttyS0`,
		Args: needArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("addon") {
				if s.sysroot != "" || addon == "" {
					return usageError{errors.New("kargs add: --addon needs the name of a file and cannot be combined with --sysroot")}
				}
				return s.writeAddon(addon, args)
			}
			return s.changeKargs(cmd, args, nil, asJSON)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&addon, "addon", "", "change nothing, and write an addon for a sealed image to `FILE`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	completeFiles(cmd, "addon")
	return cmd
}

const aboutKargsRemove = `Remove kernel arguments. KEY removes each argument with that key, KEY=VALUE only this one. What
kargs.d of the image asks for stays removed when the image is updated.`

func (s *session) kargsRemoveCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "remove ARG...",
		Short: "Remove kernel arguments",
		Long:  aboutKargsRemove,
		Example: `  sysupdate-image kargs remove quiet
  sysupdate-image kargs remove console=ttyS0`,
		Args:              needArgs(cobra.MinimumNArgs(1)),
		ValidArgsFunction: s.completeKargs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.changeKargs(cmd, nil, args, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// completeKargs completes the kernel arguments that there are.
func (s *session) completeKargs(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	if k, err := s.kargs(""); err == nil {
		for _, a := range k.List {
			if a.Source != update.KargDeployment {
				names = append(names, cobra.CompletionWithDesc(a.Arg, string(a.Source)))
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (s *session) changeKargs(cmd *cobra.Command, add, remove []string, asJSON bool) error {
	return s.switchBoot(func(m *update.Machine) error {
		change, err := m.ChangeKargs(cmd.Context(), add, remove)
		if err != nil {
			return err
		}
		if asJSON {
			return s.PrintJSON(change)
		}
		return s.PrintKargsChange(change)
	})
}
