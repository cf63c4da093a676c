package main

import (
	"github.com/spf13/cobra"
)

func (s *session) containerLintCommand() *cobra.Command {
	f := lintFlags{bootc: true}
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Check whether an image will boot and update, as bootc container lint",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkDirectory(f.rootfs, "--rootfs "+f.rootfs); err != nil {
				return err
			}
			return s.lint(cmd, f.rootfs, f)
		},
	}
	addRootFS(cmd, &f.rootfs, "check")
	f.add(cmd)
	return cmd
}
