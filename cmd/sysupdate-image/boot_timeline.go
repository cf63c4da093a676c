package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/machine/timeline"
)

func (s *session) bootTimelineCommand() *cobra.Command {
	var asJSON, asSVG bool
	cmd := &cobra.Command{
		Use:   "boot-timeline",
		Short: "Show where the time of this boot went",
		Args:  needArgs(cobra.NoArgs),
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
