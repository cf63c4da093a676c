package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// statusFlags are those of status.
type statusFlags struct {
	asJSON, failed, booted, verbose, watch bool
	format                                 string
	version                                uint
}

func (s *session) statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is booted and what boots next",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.version > 1 {
				return fmt.Errorf("--format-version %d: want 1, the only version", f.version)
			}
			if f.failed {
				return s.showFailed(f.asJSON)
			}
			format, err := formatOf(cmd, f.format, f.asJSON, s.statusFormat())
			if err != nil {
				return err
			}
			if f.watch {
				return s.watch(cmd.Context(), f, format)
			}
			return s.status(cmd.Context(), f, format)
		},
	}
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON: org.containers.bootc/v1 with additions")
	addFormatFlag(cmd, &f.format)
	cmd.Flags().UintVar(&f.version, "format-version", 1, "print version `N` of the JSON or YAML: 1, which is also called 0")
	cmd.Flags().BoolVar(&f.booted, "booted", false, "show only the booted deployment")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "show more of each deployment")
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "show the status again whenever it changes, until interrupted")
	cmd.Flags().BoolVar(&f.failed, "failed", false, "show only failed boots: what failed, and the end of the journal")
	exclude(cmd, [2]string{"failed", "format"}, [2]string{"failed", "booted"}, [2]string{"failed", "verbose"},
		[2]string{"failed", "watch"}, [2]string{"verbose", "watch"})
	must(cmd.RegisterFlagCompletionFunc("format-version", cobra.NoFileCompletions))
	return cmd
}
