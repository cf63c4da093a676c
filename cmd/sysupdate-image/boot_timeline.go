package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/timeline"
)

const aboutBootTimeline = `Show where the time of this boot went: in the firmware, the boot loader, the kernel, each
step of the initramfs, and the system until all units of the boot were started.

The steps are those of prepare-root, those of a standalone initramfs and, if the initramfs
has systemd, its units, which are read from the journal. Without access to the journal, the
units are missing.`

func (s *session) bootTimelineCommand() *cobra.Command {
	var asJSON, asSVG bool
	cmd := &cobra.Command{
		Use:   "boot-timeline",
		Short: "Show where the time of this boot went",
		Long:  aboutBootTimeline,
		Example: `  sysupdate-image boot-timeline
  sysupdate-image boot-timeline --svg > boot.svg`,
		Args: needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.sysroot != "" {
				return usageError{errors.New("boot-timeline is about the running system: leave out --sysroot")}
			}
			t, err := timeline.Read(cmd.Context(), s.host.Files, s.WarnOf)
			switch {
			case err != nil:
				return err
			case asJSON:
				return s.PrintTimelineJSON(t)
			case asSVG:
				return s.PrintTimelineSVG(t)
			}
			return s.PrintTimeline(t)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with times in microseconds")
	cmd.Flags().BoolVar(&asSVG, "svg", false, "print a picture, as SVG")
	exclude(cmd, [2]string{"json", "svg"})
	return cmd
}
