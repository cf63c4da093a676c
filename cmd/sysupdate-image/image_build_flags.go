package main

import (
	"errors"

	"github.com/spf13/cobra"
)

type buildFlags struct {
	dump, rootfs, out  string
	version, algorithm string
	repository, name   string
	digestOnly, asIs   bool
	form               formFlags
}

func (f *buildFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dump, "from-dump", "", "build an image from the dump in `FILE`")
	cmd.Flags().StringVar(&f.rootfs, "rootfs", "", "build an image from the files in `DIR`")
	addVersion(cmd, &f.version)
	addAlgorithm(cmd, &f.algorithm, "sha512", "algorithm of the digests: `sha256|sha512`")
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
	exclude(cmd, [2]string{"from-dump", "rootfs"}, [2]string{"digest-only", "output"},
		[2]string{"digest-only", "repo"}, [2]string{"as-is", "boot"})
}

// check refuses flags that cannot be combined.
func (f *buildFlags) check(cmd *cobra.Command) error {
	switch {
	case f.dump == "" && f.rootfs == "":
		return usageError{errors.New("image build: --from-dump FILE or --rootfs DIR is required")}
	case f.dump != "" && (f.form.boot || f.form.userXattrs || f.asIs || f.repository != ""):
		return usageError{errors.New(
			"image build: --boot, --user-xattrs, --as-is and --repo cannot be combined with --from-dump; they need --rootfs")}
	case f.name != "" && f.repository == "":
		return usageError{errors.New("image build: --name needs --repo")}
	case f.repository != "" && (cmd.Flags().Changed("format-version") || cmd.Flags().Changed("algorithm")):
		return usageError{errors.New(
			"image build: --format-version and --algorithm cannot be combined with --repo: the repository determines them")}
	}
	return nil
}
