package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/status"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
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

// statusFormat returns the format of status without an option.
func (s *session) statusFormat() string {
	if s.name() == bootcName && !s.OnTerminal() {
		return formatYAML
	}
	return formatHuman
}

func (s *session) status(ctx context.Context, f statusFlags, format string) error {
	st, err := status.Of(s.machine())
	if err != nil {
		return err
	}
	if st.Verbose = f.verbose; f.verbose {
		s.measure(ctx, &st)
	}
	if f.booted {
		st = st.OnlyBooted()
	}
	if format != formatHuman {
		return s.printAs(format, st.JSON())
	}
	return s.PrintText(st.Text())
}

// measure adds to a status what the disk is used for, as far as that may be read.
func (s *session) measure(ctx context.Context, st *status.Status) {
	system, err := machine.Open(s.machine(), machine.ToRead)
	if err == nil {
		defer system.Close()
		st.Disk, err = status.MeasureDisk(ctx, system)
	}
	if errors.Is(err, fs.ErrPermission) {
		st.Notes = append(st.Notes, "only root can see what the disk is used for")
		return
	}
	if err != nil {
		if !errors.Is(err, repo.ErrNotARepository) && !errors.Is(err, fs.ErrNotExist) {
			st.Problems = append(st.Problems, fmt.Sprintf("use of the disk: %v", err))
		}
		return
	}
	report, err := update.PlanPrune(ctx, s.machine(), func(error) {})
	if err == nil {
		st.Disk.Prune = &report.Repository.Bytes
	}
}

func (s *session) showFailed(asJSON bool) error {
	failed, err := status.FailedOf(s.machine())
	if err != nil {
		return err
	}
	if asJSON {
		return s.PrintJSON(failed.JSON())
	}
	_, err = fmt.Fprint(s.Out, failed.Text())
	return err
}
