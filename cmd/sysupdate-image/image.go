package main

import (
	"github.com/spf13/cobra"
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

// aboutIMAGE is the help on the argument IMAGE.
const aboutIMAGE = `

IMAGE is a file, directory, deployment, pin, id or reference: see sysupdate-image image.`
