package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/build"
)

type buildFlags struct {
	dump, rootfs, out        string
	version, algorithm       string
	repository, name         string
	digestOnly, asIs         bool
	form                     formFlags
	versionGiven, algorithms bool
}

func (s *session) imageBuildCommand() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build {--from-dump FILE | --rootfs DIR}",
		Short: "Build a composefs image",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.versionGiven = cmd.Flags().Changed("format-version")
			f.algorithms = cmd.Flags().Changed("algorithm")
			return s.imageBuild(cmd.Context(), cmd.InOrStdin(), f)
		},
	}
	cmd.Flags().StringVar(&f.dump, "from-dump", "", "build an image from the dump in `FILE`")
	cmd.Flags().StringVar(&f.rootfs, "rootfs", "", "build an image from the files in `DIR`")
	cmd.Flags().StringVar(&f.version, "format-version", "1", "format version of the image: `0|1|2|auto`")
	cmd.Flags().StringVar(&f.algorithm, "algorithm", "sha512", "algorithm of the digests: `sha256|sha512`")
	cmd.Flags().BoolVar(&f.digestOnly, "digest-only", false, "print the digest and write nothing")
	cmd.Flags().StringVarP(&f.out, "output", "o", "", "write the image to `OUT`")
	cmd.Flags().BoolVar(&f.asIs, "as-is", false, "use DIR as it is, not in its canonical form")
	cmd.Flags().StringVar(&f.repository, "repo", "",
		"store image and contents in the repository in `DIR`, which is created if it is missing")
	cmd.Flags().StringVar(&f.name, "name", "", "keep the image in the repository under `NAME`")
	f.form.add(cmd)
	must(cmd.MarkFlagDirname("rootfs"))
	must(cmd.MarkFlagDirname("repo"))
	completeFiles(cmd, "from-dump", "output")
	completeValues(cmd, "format-version", versionNames...)
	completeValues(cmd, "algorithm", algorithmNames...)
	exclude(cmd, [2]string{"from-dump", "rootfs"}, [2]string{"digest-only", "output"},
		[2]string{"digest-only", "repo"}, [2]string{"as-is", "boot"})
	return cmd
}

// check refuses flags that cannot be combined.
func (f *buildFlags) check() error {
	switch {
	case f.dump == "" && f.rootfs == "":
		return usageError{errors.New("image build: --from-dump FILE or --rootfs DIR is required")}
	case f.dump != "" && (f.form.boot || f.form.userXattrs || f.asIs || f.repository != ""):
		return usageError{errors.New(
			"image build: --boot, --user-xattrs, --as-is and --repo cannot be combined with --from-dump; they need --rootfs")}
	case f.name != "" && f.repository == "":
		return usageError{errors.New("image build: --name needs --repo")}
	case f.repository != "" && (f.versionGiven || f.algorithms):
		return usageError{errors.New(
			"image build: --format-version and --algorithm cannot be combined with --repo: the repository determines them")}
	}
	return nil
}

func (s *session) imageBuild(ctx context.Context, stdin io.Reader, f buildFlags) error {
	if err := f.check(); err != nil {
		return err
	}
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
