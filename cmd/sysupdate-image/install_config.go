package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/image/installconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/install"
)

const aboutPrintConfiguration = `Print the installation settings of an image as JSON, merged from the files
bootc/install/*.toml in /usr/lib, /usr/local/lib, /etc and /run. Of two files of one name, the
one in the later directory counts, and a link to /dev/null there masks the other; files are
merged in the order of their names. The keys are bootc's.

Without --image, the files are those of the running system, such as a container of the
image. Without --all, kernel arguments are left out; install adds these by itself.

install to-disk and to-image use root-fs-type, filesystem.root.type, block, kargs,
karg-deletes, root-mount-spec, bootloader, discoverable-partitions and
enforce-container-sigpolicy; to-filesystem uses bootloader; to-existing-root kargs and
karg-deletes.`

func (s *session) printConfigurationCommand() *cobra.Command {
	var o install.Options
	var source sourceFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "print-configuration",
		Short: "Print the installation settings of an image",
		Long:  aboutPrintConfiguration,
		Example: `  sysupdate-image install print-configuration
  sysupdate-image install print-configuration --all --image registry.example.org/os:stable`,
		Args: needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case s.sysroot != "":
				return usageError{errors.New("install print-configuration: --sysroot cannot be used here")}
			case o.Image == "" && cmd.Flags().Changed("image"):
				return usageError{errors.New("install print-configuration: --image: the reference is empty")}
			}
			o.Source = source.options()
			config, err := s.installConfiguration(cmd, o)
			if err != nil {
				return err
			}
			if config = config.Canonical(); !all {
				config = config.Public()
			}
			return s.PrintJSON(config)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "print kernel arguments too")
	cmd.Flags().StringVar(&o.Image, "image", "", "read the image `REF` instead of the running system")
	addReuseFlag(cmd, &o.Reuse)
	source.add(cmd)
	return cmd
}

// installConfiguration returns the configuration of an image, or of the running system.
func (s *session) installConfiguration(cmd *cobra.Command, o install.Options) (installconfig.Config, error) {
	if o.Image == "" {
		return install.Configuration(s.host)
	}
	img, err := install.LookAt(cmd.Context(), o, s.Reporter(cmd.Context(), false))
	return img.Config(), err
}
