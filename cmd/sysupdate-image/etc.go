package main

import (
	"fmt"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

const aboutEtc = `Show local changes to /etc, undo them, and report how an update merged them.

/etc starts as the image's. What was changed, added or deleted here stays that way when
the image is updated, file by file; everything else follows the new image. passwd, group,
shadow, gshadow, subuid and subgid are merged record by record. A file with only another
owner, mode or extended attribute still gets the image's new content.`

func (s *session) etcCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "etc",
		Short: "Show, undo and merge local changes to /etc",
		Long:  aboutEtc,
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.etcDiffCommand(), s.etcResetCommand(), s.etcReportCommand(), s.etcMergeCommand())
	return cmd
}

const aboutEtcDiff = `Show how /etc differs from the image, or only below each PATH: what was added (+), removed
(-) or changed (~), and which of type, content, target, device, mode, owner and xattr.
Texts, links and modes are shown in the format of git diff, for patch -p1. Contents of new
and removed files are shown too, and may include keys and passwords.

With --json: {"deployment": ID, "etc": "overlay|bind|transient|none", "changes": [{"path",
"kind": "added|removed|changed", "what": [{"aspect", "name", "old", "new", "oldSize",
"newSize"}], "diff"}]}. Contents have their fs-verity digests as old and new.`

func (s *session) etcDiffCommand() *cobra.Command {
	var asJSON, names bool
	cmd := &cobra.Command{
		Use:   "diff [PATH...]",
		Short: "Show local changes to /etc",
		Long:  aboutEtcDiff,
		Example: `  sysupdate-image etc diff
  sysupdate-image etc diff --names /etc/systemd
  sysupdate-image --sysroot /mnt etc diff --json`,
		ValidArgsFunction: s.completeEtc,
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := cleanEtcPaths("etc diff", args)
			if err != nil {
				return err
			}
			e, err := edit.Open(cmd.Context(), s.machine(), len(paths) > 0)
			if err != nil {
				return err
			}
			defer e.Close()
			changes, err := e.Changes(cmd.Context(), paths...)
			if err != nil {
				return err
			}
			for _, text := range e.Warnings() {
				s.Warn(text)
			}
			if asJSON {
				for i := range changes {
					if !utf8.ValidString(changes[i].Diff) {
						changes[i].Diff = "" // JSON cannot hold it
					}
				}
				return s.PrintJSON(ui.EtcChanges{Deployment: string(e.ID), Etc: string(e.Etc), Changes: changes})
			}
			return s.PrintEtcChanges(changes, names)
		},
	}
	cmd.Flags().BoolVar(&names, "names", false, "list the files without their contents")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func cleanEtcPaths(command string, args []string) ([]string, error) {
	paths, err := edit.Clean(args)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", command, err)}
	}
	return paths, nil
}
