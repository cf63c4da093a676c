package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/build"
)

func (s *session) imageBuildCommand() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build {--from-dump FILE | --rootfs DIR}",
		Short: "Build a composefs image",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return s.imageBuild(cmd.Context(), cmd.InOrStdin(), f)
		},
	}
	f.add(cmd)
	return cmd
}

func (s *session) imageBuild(ctx context.Context, stdin io.Reader, f buildFlags) error {
	version, err := parseVersion(f.version)
	if err != nil {
		return err
	}
	alg, err := parseAlgorithm(f.algorithm)
	if err != nil {
		return err
	}
	src := build.Source{
		Dump: f.dump, Stdin: stdin, Dir: f.rootfs, Form: f.form.form(), AsIs: f.asIs, Mounted: s.mountedBelow(f.rootfs),
	}
	var d digest.Digest
	if f.repository != "" {
		d, err = build.Into(ctx, src, f.repository, f.name, f.out)
	} else {
		d, err = build.File(ctx, src, erofs.Options{Version: version, Algorithm: alg}, f.out)
	}
	if err != nil {
		return err
	}
	return s.PrintDigest(d, "")
}
