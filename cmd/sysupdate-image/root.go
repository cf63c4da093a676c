package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/version"
)

const exits = `
Exit codes: 0 success, 1 failure (the reason is on standard error), 2 wrong usage, 70 a bug in this program.
`

func (s *session) command() *cobra.Command {
	root := &cobra.Command{
		Use:           s.name(),
		Short:         "Boot this machine from container images, and update it in place",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          needArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongFlag(err) })
	root.SetUsageTemplate(root.UsageTemplate() + exits)
	root.PersistentFlags().StringVar(&s.sysroot, "sysroot", "",
		"use the system in `DIR`, with its boot partition at boot, efi or boot/efi, instead of the running one")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if s.sysroot == "" && cmd.Flags().Changed("sysroot") {
			return usageError{errors.New("--sysroot: the directory name is empty")}
		}
		s.About.Sysroot = s.sysroot
		if repo := cmd.Flags().Lookup("repo"); repo != nil {
			s.About.Repository = repo.Value.String()
		}
		return nil
	}
	must(root.MarkPersistentFlagDirname("sysroot"))
	root.AddCommand(s.imageCommand(), s.initramfsCommand(), s.repoCommand(), s.lintCommand(), s.containerCommand())
	root.AddCommand(s.pinCommand(), s.unpinCommand(), s.rmCommand(), s.pruneCommand())
	root.AddCommand(s.applyCommand(), s.statusCommand(), s.historyCommand(), s.rollbackCommand(), s.etcCommand(), s.installCommand())
	root.AddCommand(s.kargsCommand())
	root.AddCommand(s.usrOverlayCommand(), s.bootTimelineCommand(), s.motdCommand())
	root.AddCommand(s.manualCommand(), s.completionCommand())
	group(root, s.upgradeCommand(), s.switchCommand(), s.configDiffCommand())
	addBootc(root)
	root.SetHelpCommand(s.helpCommand())
	describe(root)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	return root
}
