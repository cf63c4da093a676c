package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

func (s *session) containerInspectCommand() *cobra.Command {
	var rootfs, format string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect",
		Short: "Describe the system in a directory, as bootc container inspect",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, err := formatOf(cmd, format, asJSON, formatHuman)
			if err != nil {
				return err
			}
			about, err := inspect.Directory(rootfs)
			if err != nil {
				return err
			}
			if format == formatHuman {
				return s.PrintContainer(about)
			}
			return s.printAs(format, about)
		},
	}
	addRootFS(cmd, &rootfs, "describe")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addFormatFlag(cmd, &format)
	exclude(cmd, [2]string{"json", "format"})
	return cmd
}

func addRootFS(cmd *cobra.Command, dir *string, verb string) {
	cmd.Flags().StringVar(dir, "rootfs", "/", verb+" the system in `DIR`")
	must(cmd.MarkFlagDirname("rootfs"))
}

func (s *session) computeDigestCommand() *cobra.Command {
	var dump string
	cmd := &cobra.Command{
		Use:               "compute-composefs-digest [PATH]",
		Short:             "Print the deployment id of the system in a directory",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/target"
			if len(args) == 1 {
				path = args[0]
			}
			if info, err := os.Stat(path); err != nil {
				return err
			} else if !info.IsDir() {
				return fmt.Errorf("%s: not a directory", path)
			}
			return s.computeDigest(cmd, path, dump)
		},
	}
	cmd.Flags().StringVar(&dump, "write-dumpfile-to", "", "write the composefs dump of it to `FILE`, too")
	completeFiles(cmd, "write-dumpfile-to")
	return cmd
}

func (s *session) computeDigest(cmd *cobra.Command, path, dump string) error {
	f := imageFlags{}
	return s.withImage(cmd.Context(), path, &f, digest.SHA512, func(img *source.Image) error {
		form := (&formFlags{boot: true}).form()
		id, err := inspect.Digest(cmd.Context(), img, form, erofs.Options{Version: erofs.V1, Algorithm: digest.SHA512})
		if err != nil {
			return err
		}
		if dump != "" {
			if err := writeDump(cmd, img, dump); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintln(s.Out, id)
		return err
	})
}

func writeDump(cmd *cobra.Command, img *source.Image, name string) (err error) {
	root, err := inspect.Tree(cmd.Context(), img, (&formFlags{boot: true}).form())
	if err != nil {
		return err
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	return tree.WriteDump(file, root)
}
