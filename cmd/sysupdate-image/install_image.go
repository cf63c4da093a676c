package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
	disklayout "github.com/sysupdate-image/sysupdate-image/internal/install/layout"
)

func (s *session) toImageCommand() *cobra.Command {
	var f diskFlags
	var target install.Target
	var size string
	cmd := &cobra.Command{
		Use:   "to-image FILE --image REF",
		Short: "Install on a new disk image",
		Args:  needArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(install.Formats, target.Format) {
				return usageError{fmt.Errorf("--format %s: want %s", target.Format, strings.Join(install.Formats, ", "))}
			}
			o, err := f.options(s, cmd)
			if err != nil {
				return err
			}
			if target.Size, err = disklayout.ParseSize(size); err != nil {
				return usageError{fmt.Errorf("--size: %w", err)}
			}
			target.File = args[0]
			if install.NeedsNamespace() && !f.plan {
				return install.InNamespace()
			}
			return s.toDisk(cmd.Context(), o, &f, &target)
		},
	}
	cmd.Flags().StringVar(&target.Format, "format", install.Formats[0], "format of the disk image: `raw|qcow2|vhd`")
	cmd.Flags().StringVar(&size, "size", "", "`SIZE` of the disk, such as 20G (default: room for three versions of the image)")
	cmd.Flags().BoolVar(&f.o.Wipe, "wipe", false, "replace FILE")
	f.add(cmd)
	completeValues(cmd, "format", install.Formats...)
	return cmd
}
