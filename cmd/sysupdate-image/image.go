package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
)

const aboutImage = `Build composefs images, compute their digests, and inspect images of every kind.

IMAGE is the first of these that exists:

  a file        a composefs image (EROFS), or a dump, see composefs-dump(5)
  a directory   with the root of a system in it
  a deployment  booted, staged, next or rollback, as status shows them, or the name of
                its pin
  an id         of a deployment or another image in the repository, or its first 4 or
                more characters
  a reference   registry/name:tag, or a transport of containers-transports(5):
                docker://, oci:, oci-archive:, docker-archive:, dir:

A reference contains a / or a : and names its registry: write docker.io/library/debian,
not debian. So no registry is asked for a mistyped pin.

Container images are not stored: their layers are read once, and layers that the
repository has are not fetched. A reference with several architectures is read for the
one of this machine, or for --arch.

A directory or container image is read in its canonical form, in which its digest is
computed: see --boot. The repository is this machine's, that of --sysroot, or --repo.`

func (s *session) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build, inspect, compare and mount images",
		Long:  aboutImage,
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.imageBuildCommand(), s.imageDigestCommand(), s.imageDumpCommand(), s.imageLsCommand(),
		s.imageInspectCommand(), s.imageDiffCommand(), s.imageMountCommand())
	return cmd
}

// formFlags choose the form of a tree.
type formFlags struct {
	boot, userXattrs bool
}

func (f *formFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.boot, "boot", false, "use the form that boots: empty /boot and /sysroot, SELinux labels from the image's policy")
	cmd.Flags().BoolVar(&f.userXattrs, "user-xattrs", false, "keep user.* attributes")
}

func (f *formFlags) form() canonical.Form {
	return canonical.Form{Boot: f.boot, UserXattrs: f.userXattrs}
}

// imageFlags tell where images are and how to read them.
type imageFlags struct {
	repository, architecture string
	source                   sourceFlags
}

func (f *imageFlags) add(cmd *cobra.Command) {
	addRepositoryFlag(cmd, &f.repository)
	cmd.Flags().StringVar(&f.architecture, "arch", "", "read container images for `ARCH` instead of this machine's, such as amd64, arm64 or arm/v7")
	completeValues(cmd, "arch", oci.Architectures...)
	f.source.add(cmd)
}

// options returns how to read container images.
func (f *imageFlags) options() (oci.Options, error) {
	opts := f.source.options()
	if f.architecture == "" {
		return opts, nil
	}
	var err error
	if opts.Architecture, opts.Variant, err = oci.ParseArchitecture(f.architecture); err != nil {
		return opts, usageError{fmt.Errorf("--arch %s: %w", f.architecture, err)}
	}
	return opts, nil
}

func addRepositoryFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "repo", "", "use the repository in `DIR` instead of this machine's")
	must(cmd.MarkFlagDirname("repo"))
}

// repositoryPath returns the path of the chosen repository.
func (s *session) repositoryPath(flag string) string {
	switch {
	case flag != "":
		return flag
	case s.sysroot != "":
		return filepath.Join(s.sysroot, deployment.RepositoryDir)
	}
	return filepath.Join(deployment.SysrootDir, deployment.RepositoryDir)
}

// openStore opens the chosen repository for reading.
func (s *session) openStore(flag string) (*repo.Repository, error) {
	repo, err := repo.Open(s.repositoryPath(flag))
	return repo, s.noRepository(flag, err)
}

// noRepository explains a missing repository.
func (s *session) noRepository(flag string, err error) error {
	if flag == "" && s.sysroot != "" && errors.Is(err, repo.ErrNotARepository) {
		if _, statErr := os.ReadDir(s.sysroot); errors.Is(statErr, fs.ErrNotExist) {
			return fmt.Errorf("%s: no such directory", s.sysroot)
		}
	}
	if flag == "" && s.sysroot == "" && errors.Is(err, repo.ErrNotARepository) {
		return fmt.Errorf("%w: this machine was not installed from an image; choose another with --repo DIR or --sysroot DIR", err)
	}
	return err
}

// images opens images for one command.
type images struct {
	session *session
	source  oci.Options
	repo    *repo.Repository // nil if there is none
	repoErr error            // why
	open    []*source.Image
}

// openImages opens the repository, if it is there or was asked for.
func (s *session) openImages(f *imageFlags) (*images, error) {
	source, err := f.options()
	if err != nil {
		return nil, err
	}
	objects, err := s.openStore(f.repository)
	asked := f.repository != "" || s.sysroot != ""
	if err != nil && (asked || !errors.Is(err, repo.ErrNotARepository) && !errors.Is(err, fs.ErrPermission)) {
		return nil, err
	}
	return &images{session: s, source: source, repo: objects, repoErr: err}, nil
}

// get opens an image; digests of contents are computed by alg, or if that is 0,
// as the repository has them.
func (i *images) get(ctx context.Context, name string, alg digest.Algorithm) (*source.Image, error) {
	found, err := i.session.imageNamed(name)
	if err != nil {
		return nil, err
	}
	if found != name && i.repo == nil {
		return nil, fmt.Errorf("cannot read the image of deployment %s: %w", name, i.repoErr)
	}
	img, err := source.Open(ctx, found, source.Options{Repository: i.repo, Algorithm: alg, Source: i.source, Mounted: i.session.mountedBelow(found)})
	if err != nil {
		return nil, nameArch(err)
	}
	i.open = append(i.open, img)
	return img, nil
}

// mountedBelow returns a function that warns of mount points below a directory.
func (s *session) mountedBelow(dir string) func(path string) {
	return func(path string) {
		s.Warn(fmt.Sprintf("%s is a mount point: the files mounted there become part of the image", filepath.Join(dir, path)))
	}
}

// nameArch adds the option that reads an image for another machine.
func nameArch(err error) error {
	other := (*oci.OtherPlatformError)(nil)
	if !errors.As(err, &other) || other.Chosen {
		return err
	}
	for _, platform := range other.Offered {
		if arch, ok := strings.CutPrefix(platform, "linux/"); ok {
			return fmt.Errorf("%w; read it with --arch %s", err, arch)
		}
	}
	return err
}

// Close closes all images and the repository.
func (i *images) Close() error {
	var errs []error
	for _, img := range i.open {
		errs = append(errs, img.Close())
	}
	if i.repo != nil {
		errs = append(errs, i.repo.Close())
	}
	return errors.Join(errs...)
}

// withImage calls f with an image.
func (s *session) withImage(ctx context.Context, name string, flags *imageFlags, alg digest.Algorithm, f func(*source.Image) error) error {
	all, err := s.openImages(flags)
	if err != nil {
		return err
	}
	defer all.Close()
	img, err := all.get(ctx, name, alg)
	if err != nil {
		return err
	}
	return f(img)
}

// algorithmNames are the values of --algorithm.
var algorithmNames = []string{"sha256", "sha512"}

// parseAlgorithm reads --algorithm.
func parseAlgorithm(name string) (digest.Algorithm, error) {
	alg, err := digest.ParseAlgorithm(name)
	if err != nil {
		return 0, usageError{fmt.Errorf("--algorithm: %w", err)}
	}
	return alg, nil
}
