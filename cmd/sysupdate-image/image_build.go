package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/scan"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

const aboutImageBuild = `Build a composefs image from a dump or a directory, and print its fs-verity digest.

With --from-dump, FILE has the format of composefs-dump(5); "-" is standard input. The
image is identical, byte for byte, to the one that mkcomposefs(1) builds.

With --rootfs, DIR has the root of a system in it. The image is identical to the one that
composefs-rs and bootc build from the same files: the root directory has the metadata of
/usr, /run is empty, and security.capability is the only extended attribute. With --boot
it is the one that they boot: /boot and /sysroot are empty, and files have the SELinux
labels of the policy in DIR. With --as-is none of this is done.

--repo also stores the image and the contents of its files in a repository, from which it
can be mounted. --name gives it a name, without which the next repo gc removes it.

The format version auto is 0, or 1 if the tree has a whiteout, as in mkcomposefs.`

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
		Long:  aboutImageBuild,
		Example: `  sysupdate-image image build --from-dump tree.dump --algorithm sha256
  composefs-info dump old.cfs | sysupdate-image image build --from-dump - -o new.cfs
  sysupdate-image image build --rootfs /mnt --boot
  sysupdate-image image build --rootfs tree --repo repo --name mine`,
		Args: needArgs(cobra.NoArgs),
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
	cmd.Flags().StringVar(&f.repository, "repo", "", "store image and contents in the repository in `DIR`, which is created if it is missing")
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

// versionNames are the values of --format-version.
var versionNames = []string{"0", "1", "2", "auto"}

// parseVersion reads --format-version.
func parseVersion(s string) (int, error) {
	versions := map[string]int{"0": erofs.V0, "1": erofs.V1, "2": erofs.V2, "auto": erofs.Auto}
	v, ok := versions[s]
	if !ok {
		return 0, usageError{fmt.Errorf("--format-version %s: want 0, 1, 2 or auto", s)}
	}
	return v, nil
}

// check refuses flags that cannot be combined.
func (f *buildFlags) check() error {
	switch {
	case f.dump == "" && f.rootfs == "":
		return usageError{errors.New("image build: --from-dump FILE or --rootfs DIR is required")}
	case f.dump != "" && (f.form.boot || f.form.userXattrs || f.asIs || f.repository != ""):
		return usageError{errors.New("image build: --boot, --user-xattrs, --as-is and --repo cannot be combined with --from-dump; they need --rootfs")}
	case f.name != "" && f.repository == "":
		return usageError{errors.New("image build: --name needs --repo")}
	case f.repository != "" && (f.versionGiven || f.algorithms):
		return usageError{errors.New("image build: --format-version and --algorithm cannot be combined with --repo: the repository determines them")}
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
	opts := erofs.Options{Version: version, Algorithm: alg}
	switch {
	case f.repository != "":
		return s.buildInto(ctx, f)
	case f.dump != "":
		opts.Dialect = erofs.Mkcomposefs
		root, err := readDump(f.dump, stdin)
		if err != nil {
			return err
		}
		return s.writeImage(ctx, root, opts, f.out)
	}
	root, err := f.scan(ctx, scan.Options{Algorithm: alg, Mounted: s.mountedBelow(f.rootfs)})
	if err != nil {
		return err
	}
	return s.writeImage(ctx, root, opts, f.out)
}

func readDump(name string, stdin io.Reader) (*tree.Node, error) {
	if name == "-" {
		return tree.ParseDump(stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	root, err := tree.ParseDump(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return root, nil
}

// scan returns the tree of --rootfs in the chosen form.
func (f *buildFlags) scan(ctx context.Context, opts scan.Options) (*tree.Node, error) {
	dir, err := os.Open(f.rootfs)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	root, err := scan.Scan(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	if f.asIs {
		root.Root.CountLinks() // of names below DIR
		return root.Root, nil
	}
	return root.Root, canonical.Transform(ctx, root.Root, func(n *tree.Node) ([]byte, error) {
		r, err := root.Open(n)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return bounded.ReadAll(r, limits.Contexts)
	}, f.form.form())
}

// writeImage writes the image to the file out, if that is not empty, and prints
// its digest.
func (s *session) writeImage(ctx context.Context, root *tree.Node, opts erofs.Options, out string) error {
	if out == "" {
		d, err := erofs.Digest(ctx, root, opts)
		if err == nil {
			_, err = fmt.Fprintln(s.Out, d)
		}
		return err
	}
	hash := verity.New(opts.Algorithm)
	err := writeWhole(out, func(w io.Writer) error {
		return erofs.Write(ctx, io.MultiWriter(w, hash), root, opts)
	})
	if err == nil {
		_, err = fmt.Fprintln(s.Out, hash.Sum())
	}
	return err
}

// writeWhole writes a file that has its name when it is complete.
func writeWhole(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	err = write(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

// buildInto puts the image of --rootfs into a repository.
func (s *session) buildInto(ctx context.Context, f buildFlags) error {
	repo, err := repo.Init(f.repository, repo.Options{})
	if err != nil {
		return err
	}
	defer repo.Close()
	unlock, err := repo.Lock(true)
	if err != nil {
		return err
	}
	defer unlock()
	root, err := f.scan(ctx, scan.Options{Repository: repo, Mounted: s.mountedBelow(f.rootfs)})
	if err != nil {
		return err
	}
	opts := erofs.Options{Version: repo.FormatVersion(), Algorithm: repo.Algorithm()}
	d, err := repo.PutImage(func(w io.Writer) error { return erofs.Write(ctx, w, root, opts) })
	if err != nil {
		return err
	}
	if f.name != "" {
		if err := repo.SetImageRef(f.name, d.String()); err != nil {
			return err
		}
	}
	if f.out != "" {
		if err := writeWhole(f.out, func(w io.Writer) error { return erofs.Write(ctx, w, root, opts) }); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(s.Out, d)
	return err
}
