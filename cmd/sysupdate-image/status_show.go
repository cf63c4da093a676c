package main

import (
	"context"

	"github.com/sysupdate-image/sysupdate-image/internal/status"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

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
		update.AddDisk(ctx, s.machine(), &st)
	}
	if f.booted {
		st = st.OnlyBooted()
	}
	if format != formatHuman {
		return s.printAs(format, st.JSON())
	}
	return s.PrintText(st.Text())
}

func (s *session) showFailed(asJSON bool) error {
	failed, err := status.FailedOf(s.machine())
	if err != nil {
		return err
	}
	if asJSON {
		return s.PrintJSON(failed.JSON())
	}
	return s.PrintAsIs(failed.Text())
}
