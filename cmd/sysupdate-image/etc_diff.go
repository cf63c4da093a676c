package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/edit"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

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
				return s.PrintJSON(ui.NewEtcChanges(e.Side, changes))
			}
			return s.PrintEtcChanges(changes, names)
		},
	}
	cmd.Flags().BoolVar(&names, "names", false, "list the files without their contents")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
