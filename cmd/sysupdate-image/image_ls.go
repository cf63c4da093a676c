package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
)

func (s *session) imageLsCommand() *cobra.Command {
	var f struct {
		imageFlags
		formFlags
		recursive bool
	}
	cmd := &cobra.Command{
		Use:               "ls IMAGE [PATH]",
		Short:             "List files of an image",
		Args:              needArgs(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: s.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/"
			if len(args) == 2 {
				path = "/" + strings.Trim(args[1], "/")
			}
			return s.withImage(cmd.Context(), args[0], &f.imageFlags, 0, func(img *source.Image) error {
				root, err := inspect.Tree(cmd.Context(), img, f.form())
				if err != nil {
					return err
				}
				n := root.Lookup(path)
				if n == nil {
					return fmt.Errorf("%s: no such file %s", img.Name, path)
				}
				return s.PrintFiles(path, n, f.recursive)
			})
		},
	}
	cmd.Flags().BoolVarP(&f.recursive, "recursive", "R", false, "list directories recursively, with paths")
	f.formFlags.add(cmd)
	f.imageFlags.add(cmd)
	return cmd
}
