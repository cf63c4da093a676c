package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/format/version"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// Exit codes, as the help text documents them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2

	exitAvailable = 10 // apply --check has found an update, see its help
)

// A usageError is an invalid command line.
type usageError struct{ error }

const exits = `
Exit codes: 0 success, 1 failure (the reason is on standard error), 2 wrong usage, 70 a bug in this program.
`

// A session is what all commands share.
type session struct {
	ui.Screen
	host     machine.Host
	called   string      // the program, if not programName
	sysroot  string      // --sysroot
	changing atomic.Bool // the machine is being changed
	// unfinished is the disk that is being installed on; "" for none.
	unfinished atomic.Pointer[string]
}

// machine returns which machine a command is about.
func (s *session) machine() machine.Place { return machine.Place{Host: s.host, Dir: s.sysroot} }

// run carries out the command line and returns the exit code.
func run(ctx context.Context, host machine.Host, args []string, out, stderr io.Writer) int {
	s := &session{Screen: ui.Screen{Out: out, Err: stderr}, host: host}
	return s.run(ctx, args)
}

func (s *session) run(ctx context.Context, args []string) int {
	results, stderr := &output{to: s.Out}, s.Err
	s.Out = results
	root := s.command()
	root.SetArgs(args)
	cmd := root
	err := bug.Catch(func() (err error) {
		cmd, err = root.ExecuteContextC(ctx)
		return err
	})
	s.EndProgress()
	if err == nil && results.err != nil {
		err = fmt.Errorf("the command succeeded, but its output could not be written: %w", results.err)
	}
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &availableError{}):
		return exitAvailable
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %v\nTry '%s --help'.\n", s.name(), err, cmd.CommandPath())
		return exitUsage
	case ctx.Err() != nil:
		err = s.interrupted(ctx, err)
	}
	s.PrintError(s.name() + ": " + printable.Text(ui.Advise(err, s.sysroot).Error()))
	return bug.Status(err, exitFailed)
}

// interrupted explains err after an interrupt.
func (s *session) interrupted(ctx context.Context, err error) error {
	text := "interrupted" + s.disk()
	if s.changing.Load() {
		text += "; the next boot is unchanged. Run the command again to resume"
		if kept := s.Kept(); kept != "" {
			text += ": " + kept
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)) {
		return errors.New(text)
	}
	return fmt.Errorf("%s: %w", text, err)
}

// disk says of a disk that is being installed on what to do after an interrupt.
func (s *session) disk() string {
	if name := s.unfinished.Load(); name != nil {
		return "; " + *name + " is incomplete. Start again with --wipe"
	}
	return ""
}

// abandoned says what to do after the command was ended where it was.
func (s *session) abandoned() string {
	text := "interrupted" + s.disk()
	if s.changing.Load() {
		text = "interrupted while cleaning up; run it again to resume, " +
			"'sysupdate-image status' shows what boots next"
	}
	return text
}

// changes notes that the command is about to change a machine. From then on, writes to a pipe that
// nobody reads any more fail, rather than end the program: who looks on may leave.
func (s *session) changes() {
	s.changing.Store(true)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}

// open opens the machine to change it.
func (s *session) open() (*update.Machine, error) {
	s.changes()
	return update.Open(s.machine(), s.WarnOf)
}

func (s *session) command() *cobra.Command {
	root := &cobra.Command{
		Use:           s.name(),
		Short:         "Boot this machine from container images, and update it in place",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          needArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetUsageTemplate(root.UsageTemplate() + exits)
	root.PersistentFlags().StringVar(&s.sysroot, "sysroot", "",
		"use the system in `DIR`, with its boot partition at boot, efi or boot/efi, instead of the running one")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if s.sysroot == "" && cmd.Flags().Changed("sysroot") {
			return usageError{errors.New("--sysroot: the directory name is empty")}
		}
		s.Sysroot = s.sysroot
		return nil
	}
	must(root.MarkPersistentFlagDirname("sysroot"))
	root.AddCommand(s.imageCommand(), s.initramfsCommand(), s.repoCommand(), s.lintCommand(), s.containerCommand())
	root.AddCommand(s.pinCommand(), s.unpinCommand(), s.rmCommand(), s.pruneCommand())
	root.AddCommand(s.applyCommand(), s.statusCommand(), s.historyCommand(), s.rollbackCommand(), s.etcCommand(), s.installCommand())
	root.AddCommand(s.kargsCommand())
	root.AddCommand(s.usrOverlayCommand(), s.bootTimelineCommand(), s.motdCommand())
	root.AddCommand(s.manualCommand(), s.completionCommand())
	group(root, s.upgradeCommand(), s.switchCommand(), s.configDiffCommand())
	addBootc(root)
	root.SetHelpCommand(s.helpCommand())
	describe(root)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	return root
}
