package ui

import (
	"fmt"
	"io"
	"os"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// Reporter shows progress: a bar on a terminal that can show one, plain lines
// elsewhere, nothing at all if quiet.
func (s *Screen) Reporter(quiet bool) update.Reporter {
	if quiet {
		return silent{}
	}
	if f, ok := s.Err.(*os.File); ok && term.IsTerminal(int(f.Fd())) && canMove(os.Getenv("TERM")) {
		return &barReporter{lineReporter: lineReporter{s.Err}}
	}
	return lineReporter{s.Err}
}

// OnTerminal reports whether results go to a terminal.
func (s *Screen) OnTerminal() bool {
	f := s.file()
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// file returns the file that results go to, nil if it is none.
func (s *Screen) file() *os.File {
	switch out := s.Out.(type) {
	case *os.File:
		return out
	case interface{ File() *os.File }:
		return out.File()
	}
	return nil
}

// CanMove reports whether results go to a terminal that can show something in place of what it
// showed.
func (s *Screen) CanMove() bool { return s.OnTerminal() && canMove(os.Getenv("TERM")) }

// canMove reports whether a terminal of that type can move its cursor, as far as
// its name tells.
func canMove(terminal string) bool { return terminal != "" && terminal != "dumb" }

// A lineReporter writes a line for each step.
type lineReporter struct{ w io.Writer }

func (r lineReporter) Step(text string) { fmt.Fprintln(r.w, printable.Text(text)) }

func (r lineReporter) Fetching(layers int, bytes int64) {
	fmt.Fprintf(r.w, "Fetching %s, %s\n", Count(layers, "layer"), Size(bytes))
}

func (r lineReporter) Fetched(int64) {}

func (r lineReporter) FetchDone() {}

// A barReporter shows how much of the layers has come.
type barReporter struct {
	lineReporter
	progress *mpb.Progress
	bar      *mpb.Bar
}

func (r *barReporter) Fetching(layers int, bytes int64) {
	r.progress = mpb.New(mpb.WithOutput(r.w), mpb.WithWidth(40))
	r.bar = r.progress.AddBar(bytes,
		mpb.PrependDecorators(decor.Name("Fetching "+Count(layers, "layer")+" ")),
		mpb.AppendDecorators(
			decor.CountersKibiByte("% .1f of % .1f"),
			decor.Name("  "),
			decor.AverageSpeed(decor.SizeB1024(0), "% .1f"),
		),
	)
}

func (r *barReporter) Fetched(bytes int64) { r.bar.IncrInt64(bytes) }

func (r *barReporter) FetchDone() {
	if !r.bar.Completed() {
		r.bar.Abort(false)
	}
	r.progress.Wait()
}

// silent reports nothing.
type silent struct{}

func (silent) Step(string)         {}
func (silent) Fetching(int, int64) {}
func (silent) Fetched(int64)       {}
func (silent) FetchDone()          {}
