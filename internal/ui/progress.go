package ui

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// Reporter returns what shows the progress of a command: a line that is drawn again and again
// on a terminal that can do that, plain lines elsewhere, nothing if quiet. To systemd it is
// told in any case. From then on, what the Screen writes and the line are kept apart. When ctx
// ends, so does the line. The caller calls EndProgress.
func (s *Screen) Reporter(ctx context.Context, quiet bool) update.Reporter {
	return s.begin(ctx, quiet)
}

// Watcher is Reporter for a command that reads a whole repository.
func (s *Screen) Watcher(ctx context.Context) repo.Watcher { return s.begin(ctx, false) }

func (s *Screen) begin(ctx context.Context, quiet bool) *Progress {
	s.EndProgress()
	p := newProgress(time.Now)
	if socket := os.Getenv("NOTIFY_SOCKET"); socket != "" {
		p.displays = append(p.displays, &notifier{socket: socket})
	}
	switch f := s.terminal(); {
	case quiet:
	case f == nil:
		p.displays = append(p.displays, &plainLines{w: beneath(s.Err)})
	default:
		p.line = &liveLine{w: f, columns: columnsOf(f), visible: inForeground(f)}
		p.displays = append(p.displays, &bar{line: p.line})
		if showsProgress(os.Getenv) {
			p.displays = append(p.displays, &taskbar{w: f})
		}
	}
	p.cancelled = ctx.Err
	p.release = context.AfterFunc(ctx, func() { p.tell(interrupted, nothing) })
	if s.progress == nil {
		s.Err, s.Out = &beside{s.Err, s}, &beside{s.Out, s}
	}
	s.progress = p
	go p.watch()
	return p
}

// EndProgress ends what Reporter began. Calling it without that, or twice, does nothing.
func (s *Screen) EndProgress() {
	if s.progress != nil {
		s.progress.release()
		s.progress.tell(ended, nothing)
	}
}

// Kept says which layers are not fetched again by the next run; "" if none were fetched.
func (s *Screen) Kept() string {
	if s.progress == nil {
		return ""
	}
	return s.progress.snapshot().keptText()
}

// terminal returns the terminal that progress is drawn on, nil if there is none.
func (s *Screen) terminal() *os.File {
	f := fileOf(s.Err)
	if f == nil || !term.IsTerminal(int(f.Fd())) || !canMove(os.Getenv("TERM")) {
		return nil
	}
	return f
}

// OnTerminal reports whether results go to a terminal.
func (s *Screen) OnTerminal() bool {
	f := s.file()
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// ErrOnTerminal reports whether a person sees what is said beside results.
func (s *Screen) ErrOnTerminal() bool {
	f := fileOf(s.Err)
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// file returns the file that results go to, nil if it is none.
func (s *Screen) file() *os.File { return fileOf(s.Out) }

func fileOf(w io.Writer) *os.File {
	switch out := w.(type) {
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

// A beside writes what is no progress where progress may be drawn.
type beside struct {
	io.Writer
	screen *Screen
}

// beneath returns what w writes to if it is a beside, or else w.
func beneath(w io.Writer) io.Writer {
	if b, ok := w.(*beside); ok {
		return b.Writer
	}
	return w
}

// File returns the file that it writes to, nil if it is none.
func (b *beside) File() *os.File { return fileOf(b.Writer) }

func (b *beside) Write(data []byte) (int, error) {
	p := b.screen.progress
	p.drawing.Lock()
	defer p.drawing.Unlock()
	p.line.leave()
	return b.Writer.Write(data)
}

// An event is something that displays of progress are told.
type event int

const (
	stepBegun event = iota
	fetchBegun
	goesOn // what had begun; told every so often
	fetchEnded
	ended
	interrupted
)

// A display shows progress in one way. Of what it is told often it shows as much as is useful.
type display interface{ show(e event, s state) }

// between is how often displays are told that something goes on.
const between = 200 * time.Millisecond

// A Progress follows a command, and tells its displays. It is a Reporter.
type Progress struct {
	now     func() time.Time
	release func() bool
	// cancelled returns why the command is to end; nil if it is not.
	cancelled func() error
	line      *liveLine // of the displays; nil if there is none
	displays  []display
	over      chan struct{} // closed when nothing more is shown

	drawing sync.Mutex // is held while a display writes
	closed  bool

	counting sync.Mutex // is held for a moment: a slow terminal holds up no transfer
	state    state
	meter    meter
}

func newProgress(now func() time.Time) *Progress {
	return &Progress{now: now, over: make(chan struct{}), release: func() bool { return false }, cancelled: func() error { return nil }}
}

// watch tells displays what goes on, until nothing more is shown.
func (p *Progress) watch() {
	ticks := time.NewTicker(between)
	defer ticks.Stop()
	for {
		select {
		case <-p.over:
			return
		case <-ticks.C:
			p.tell(goesOn, nothing)
		}
	}
}

// tell changes the state, and tells the displays of it. After the end they are told nothing.
func (p *Progress) tell(e event, change func(*state)) {
	p.drawing.Lock()
	defer p.drawing.Unlock()
	p.counting.Lock()
	change(&p.state)
	p.counting.Unlock()
	if p.closed {
		return
	}
	if p.cancelled() != nil && e != ended { // what happens from then on is the end of all
		e = interrupted
	}
	s := p.snapshot()
	for _, d := range p.displays {
		d.show(e, s)
	}
	if p.closed = e == ended || e == interrupted; p.closed {
		close(p.over)
	}
}

// nothing changes nothing of a state.
func nothing(*state) {}

// snapshot returns the state as it is now.
func (p *Progress) snapshot() state {
	p.counting.Lock()
	defer p.counting.Unlock()
	s := p.state
	s.now = p.now()
	s.rate, s.still = p.meter.rate(s.now, s.bytes), p.meter.still(s.now)
	return s
}

// Step shows that a step begins.
func (p *Progress) Step(text string) {
	p.tell(stepBegun, func(s *state) { s.step, s.began, s.fetching = printable.Text(text), p.now(), false })
}

// Fetching shows that layers of so many bytes are about to be fetched.
func (p *Progress) Fetching(layers int, bytes int64) {
	p.tell(fetchBegun, func(s *state) {
		p.meter = meter{last: p.now()}
		*s = state{step: s.step, began: p.now(), fetching: true, fetched: true, layers: layers, total: bytes}
	})
}

// Checking shows that objects of so many bytes are about to be read.
func (p *Progress) Checking(objects int, bytes int64) {
	p.tell(fetchBegun, func(s *state) {
		p.meter = meter{last: p.now()}
		*s = state{step: s.step, began: p.now(), fetching: true, checking: true, objects: objects, total: bytes}
	})
}

// Checked counts bytes that were read.
func (p *Progress) Checked(bytes int64) { p.Fetched(bytes) }

// CheckDone takes away what was shown of a check: its result follows.
func (p *Progress) CheckDone() { p.FetchDone() }

// Fetched counts bytes that have come.
func (p *Progress) Fetched(bytes int64) {
	p.counting.Lock()
	defer p.counting.Unlock()
	p.state.bytes += bytes
	p.meter.add(p.now(), p.state.bytes)
}

// FetchedLayer counts a layer that is complete.
func (p *Progress) FetchedLayer(bytes int64) {
	p.counting.Lock()
	defer p.counting.Unlock()
	p.state.kept++
	p.state.keptBytes += max(bytes, 0)
}

// FetchDone shows how the fetch ended.
func (p *Progress) FetchDone() { p.tell(fetchEnded, func(s *state) { s.fetching = false }) }
