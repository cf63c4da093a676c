package main

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

func addProgressFlag(cmd *cobra.Command, fd *int) {
	cmd.Flags().IntVar(fd, "progress-fd", -1, "write progress as JSON Lines to the file descriptor `N`, as bootc does")
	must(cmd.RegisterFlagCompletionFunc("progress-fd", cobra.NoFileCompletions))
}

// reporter returns what shows progress: for people, and on a descriptor, unless that is -1, for
// a program. The caller calls done with the outcome.
func (s *session) reporter(ctx context.Context, quiet bool, fd int) (r update.Reporter, done func(error), err error) {
	r = s.Reporter(ctx, quiet)
	switch {
	case fd == -1:
		return r, func(error) {}, nil
	case fd <= 2:
		return nil, nil, usageError{fmt.Errorf("--progress-fd %d: want the number of a descriptor from 3 on", fd)}
	}
	switch given, writable := sys.Inherited(fd); {
	case !given:
		return nil, nil, usageError{fmt.Errorf("--progress-fd %d: the descriptor is not open", fd)}
	case !writable:
		return nil, nil, usageError{fmt.Errorf("--progress-fd %d: the descriptor is not open for writing", fd)}
	}
	syscall.CloseOnExec(fd)
	lines := ui.NewProgressLines(os.NewFile(uintptr(fd), "progress"), r)
	return lines, func(failed error) {
		if err := lines.Close(failed != nil); err != nil {
			s.Warn(fmt.Sprintf("progress could not be written to descriptor %d: %v", fd, err))
		}
	}, nil
}
