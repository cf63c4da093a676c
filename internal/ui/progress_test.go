package ui

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/terminal"
)

const mib = 1 << 20

// halfway is a fetch of 1.8 GiB that has taken a minute.
func halfway() state {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return state{
		now: began.Add(time.Minute), began: began, fetching: true, fetched: true, layers: 5,
		bytes: 825 * mib, total: 1843 * mib, rate: 11.2 * mib,
	}
}

func TestFetchLine(t *testing.T) {
	early, stalled, written, tiny, unknown := halfway(), halfway(), halfway(), halfway(), halfway()
	early.bytes, early.now = 1000, early.began.Add(time.Second)
	stalled.still = 25 * time.Second
	written.bytes = written.total
	tiny.bytes, tiny.total, tiny.rate, tiny.layers = 300, 600, 100, 1
	unknown.total, unknown.rate = 0, 0
	tests := []struct {
		state   state
		columns int
		want    string
	}{
		{halfway(), 120, "Fetching 5 layers [============>                 ]  44%  0.81 of 1.80 GiB  11.2 MiB/s  1 min 31 s left"},
		{halfway(), 90, "Fetching 5 layers [======>          ]  44%  0.81 of 1.80 GiB  11.2 MiB/s  1 min 31 s left"},
		{halfway(), 80, "Fetching [======>         ]  44%  0.81 of 1.80 GiB  11.2 MiB/s  1 min 31 s left"},
		{halfway(), 79, "Fetching [=====>         ]  44%  0.81 of 1.80 GiB  11.2 MiB/s  1 min 31 s left"},
		{halfway(), 70, "Fetching  44%  0.81 of 1.80 GiB  11.2 MiB/s  1 min 31 s left"},
		{halfway(), 60, "Fetching  44%  0.81 of 1.80 GiB  1 min 31 s left"},
		{halfway(), 40, "Fetching  44%  1 min 31 s left"},
		{halfway(), 30, "Fetching  44%"},
		{halfway(), 20, "Fetching  44%"},
		{halfway(), 10, "44%"},
		{halfway(), 3, "44"},
		{halfway(), 1, ""},
		{early, 80, "Fetching [                ]   0%  0.00 of 1.80 GiB  11.2 MiB/s"},
		{stalled, 80, "Fetching [======>         ]  44%  0.81 of 1.80 GiB  no data for 25 s"},
		{stalled, 40, "Fetching  44%  no data for 25 s"},
		{written, 80, "Fetching [================] 100%  1.80 of 1.80 GiB  writing to disk"},
		{tiny, 80, "Fetching 1 layer [=====>      ]  50%  300 of 600 B     100 B/s  3 s left"},
		{unknown, 80, "Fetching [                ]   0%  865075200 of 0 B"},
	}
	for _, tt := range tests {
		got := fetchLine(tt.state, tt.columns)
		if got != tt.want {
			t.Errorf("in %d columns:\n%s; want\n%s", tt.columns, got, tt.want)
		}
		if len(got) > tt.columns-1 {
			t.Errorf("%q takes %d of %d columns, and the last is to stay free", got, len(got), tt.columns)
		}
	}
}

// However the numbers change, the parts of the line stay where they are.
func TestFetchLineIsSteady(t *testing.T) {
	bracket := -1
	for s := halfway(); s.bytes < s.total; s.bytes += 7*mib + 12345 {
		for _, s.rate = range []float64{1, 1000, 100 * 1024, 1023 * 1024, 11 * mib, 1023 * mib} {
			line := fetchLine(s, 80)
			if at := strings.Index(line, "]"); bracket >= 0 && at != bracket {
				t.Fatalf("the bar ends in column %d, and before it did in %d: %s", at, bracket, line)
			} else {
				bracket = at
			}
			if len(line) > 79 {
				t.Fatalf("%q is %d columns wide", line, len(line))
			}
		}
	}
}

// Names in any script fit: they are measured as a terminal shows them.
func TestStepLine(t *testing.T) {
	began := time.Now()
	for _, tt := range []struct {
		step    string
		took    time.Duration
		columns int
		want    string
	}{
		{"Building Debian 13 (2)", 0, 80, "Building Debian 13 (2)"},
		{"Building Debian 13 (2)", 75 * time.Second, 80, "Building Debian 13 (2)  1 min 15 s"},
		{"Building Debian 13 (2)", 9 * time.Second, 20, "Building De...  9 s"},
		{"Building 深度操作系统 (25)", 0, 20, "Building 深度操..."},
		{"Building 深度操作系统 (25)", 0, 80, "Building 深度操作系统 (25)"},
		{"Building Систе\u0301ма (2)", 0, 20, "Building Систе\u0301ма..."},
		{"Building Систе\u0301ма (2)", 0, 21, "Building Систе\u0301ма (2)"},
		{"Building Debian", 9 * time.Second, 3, "Bu"},
	} {
		got := stepLine(state{step: tt.step, began: began, now: began.Add(tt.took)}, tt.columns)
		if got != tt.want {
			t.Errorf("%s in %d columns: %q; want %q", tt.step, tt.columns, got, tt.want)
		}
		if width := runewidth.StringWidth(got); width > tt.columns-1 {
			t.Errorf("%q takes %d of %d columns", got, width, tt.columns)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1: "1 s", 59 * time.Second: "59 s", time.Minute: "1 min", 90 * time.Second: "1 min 30 s",
		599 * time.Second: "9 min 59 s", 601 * time.Second: "10 min", time.Hour: "1 h", 85 * time.Minute: "1 h 25 min",
		11*time.Hour + time.Minute: "11 h", 49 * time.Hour: "2 days", 1 << 62: "99 days",
	} {
		if got := duration(d); got != want || len(got) > len("9 min 59 s") {
			t.Errorf("duration(%v) = %q; want %q", d, got, want)
		}
	}
}

func TestBytesText(t *testing.T) {
	for _, tt := range []struct {
		bytes, total int64
		want         string
	}{
		{0, 0, "0 of 0 B"}, {7, 1000, "   7 of 1000 B"}, {512, 5 * 1024, "0.5 of 5.0 KiB"},
		{mib, 943 * mib, "  1.0 of 943.0 MiB"}, {1843 * mib, 18430 * mib, " 1.80 of 18.00 GiB"}, {1, 1 << 62, "0.00 of 4.00 EiB"},
	} {
		if got := bytesText(tt.bytes, tt.total); got != tt.want {
			t.Errorf("bytesText(%d, %d) = %q; want %q", tt.bytes, tt.total, got, tt.want)
		}
	}
}

// A clock is what a test says it is.
type clock struct{ time.Time }

func (c *clock) now() time.Time             { return c.Time }
func (c *clock) pass(d time.Duration)       { c.Time = c.Add(d) }
func newClock() *clock                      { return &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }
func (p *Progress) with(d display)          { p.displays = append(p.displays, d) }
func (p *Progress) left() (s time.Duration) { return p.snapshot().left() }

// fetch lets bytes come at a rate for a time, in pieces of 32 KiB as from a socket.
func fetch(p *Progress, c *clock, rate int64, d time.Duration) {
	const piece = 32 << 10
	for end := c.Add(d); c.Before(end); {
		c.pass(time.Duration(int64(time.Second) * piece / rate))
		p.Fetched(piece)
	}
}

// The time left follows a rate that changes, and is not told where it is not known.
func TestTimeLeft(t *testing.T) {
	c := newClock()
	p := newProgress(c.now)
	p.Fetching(1, 1000*mib)
	near := func(about string, want time.Duration) {
		t.Helper()
		if got := p.left(); got < want*8/10 || got > want*12/10 {
			t.Errorf("%s: %v left; want %v", about, got, want)
		}
	}
	near("before the first byte", 0)
	c.pass(10 * time.Second) // the registry is slow to answer
	p.Fetched(1000)
	near("at the first byte", 0)
	fetch(p, c, 10*mib, 10*time.Second)
	near("after 10 seconds", 90*time.Second)
	fetch(p, c, mib, 20*time.Second)
	near("20 seconds after it got slower", 880*time.Second)
	c.pass(3 * time.Second)
	near("in a short pause", 1000*time.Second)
	c.pass(time.Minute)
	if _, left := p.snapshot().pace(); left != "no data for 1 min 3 s" {
		t.Errorf("after a minute without data: %q", left)
	}
	fetch(p, c, 10*mib, 25*time.Second)
	near("25 seconds after it got faster", 62*time.Second)
	p.Fetched(2000 * mib)
	near("with more than all", 0)
}

func TestPlainLines(t *testing.T) {
	c := newClock()
	p, out := newProgress(c.now), &bytes.Buffer{}
	p.with(&plainLines{w: out})
	tick := func(rate int64, d time.Duration) {
		for range d / time.Second {
			fetch(p, c, rate, time.Second)
			p.tell(goesOn, nothing)
		}
	}
	p.Step("Looking for docker://registry.example.org/os:1")
	p.Fetching(2, 1000*mib)
	tick(10*mib, 25*time.Second)
	tick(mib/2, 70*time.Second)
	p.FetchedLayer(250 * mib)
	tick(40*mib, 18*time.Second)
	p.FetchedLayer(750 * mib)
	p.FetchDone()
	p.Step("Building Debian \x1b[31m13")
	p.tell(goesOn, nothing)
	p.tell(ended, nothing)
	const want = `Looking for docker://registry.example.org/os:1
Fetching 2 layers, 1000.0 MiB
Fetched 100.0 MiB of 1000.0 MiB (10%), 10.0 MiB/s, 1 min 30 s left
Fetched 200.0 MiB of 1000.0 MiB (20%), 10.0 MiB/s, 1 min 20 s left
Fetched 277.5 MiB of 1000.0 MiB (27%), 512 KiB/s, 24 min left
Fetched 325.0 MiB of 1000.0 MiB (32%), 2.5 MiB/s, 4 min 35 s left
Fetched 725.0 MiB of 1000.0 MiB (72%), 22.0 MiB/s, 13 s left
Fetched 2 layers, 1000.0 MiB in 1 min 53 s
Building Debian \x1b[31m13
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s; want:\n%s", got, want)
	}
}

func TestPlainLinesOfShortFetch(t *testing.T) {
	for kept, want := range []string{
		"Fetching 2 layers, 20.0 MiB\nNothing kept: no layer was complete\n",
		"Fetching 2 layers, 20.0 MiB\nKept 1 of 2 layers, 10.0 MiB; the next run fetches only the rest\n",
		"Fetching 2 layers, 20.0 MiB\n",
	} {
		c := newClock()
		p, out := newProgress(c.now), &bytes.Buffer{}
		p.with(&plainLines{w: out})
		p.Fetching(2, 20*mib)
		fetch(p, c, 10*mib, time.Second)
		for range kept {
			p.FetchedLayer(10 * mib)
		}
		p.FetchDone()
		if got := out.String(); got != want {
			t.Errorf("with %d layers: %q; want %q", kept, got, want)
		}
	}
}

func TestKept(t *testing.T) {
	if got := new(Screen).Kept(); got != "" {
		t.Errorf("without progress: %q", got)
	}
	p := newProgress(newClock().now)
	s := &Screen{progress: p}
	if got := s.Kept(); got != "" {
		t.Errorf("without a fetch: %q", got)
	}
	p.Fetching(3, 30*mib)
	for _, want := range []string{
		"no layer was complete", "1 of 3 layers (10.0 MiB) is kept", "2 of 3 layers (20.0 MiB) are kept", "all 3 layers (30.0 MiB) are kept",
	} {
		if got := s.Kept(); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
		p.FetchedLayer(10 * mib)
	}
	p.Fetching(1, 5)
	p.FetchedLayer(5)
	if got, want := s.Kept(), "the layer (5 B) is kept"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

// What is written beside a bar, and terminals that change their width, leave nothing of it.
func TestLiveLine(t *testing.T) {
	c, screen, columns, visible := newClock(), terminal.NewScreen(80), 80, true
	out := writer(screen.Write)
	p := newProgress(c.now)
	p.line = &liveLine{w: cooked{out}, columns: func() int { return columns }, visible: func() bool { return visible }}
	p.with(&bar{line: p.line})
	s := &Screen{Err: cooked{out}, progress: p}
	s.Err = &beside{s.Err, s}
	expect := func(about, want string) {
		t.Helper()
		if got := screen.String(); got != want || len(screen.Unknown) > 0 {
			t.Errorf("%s:\n%s, unknown %q; want\n%s", about, got, screen.Unknown, want)
		}
	}
	resize := func(n int) {
		columns = n
		screen.Resize(n)
	}
	p.Step("Looking for it")
	expect("a step", "Looking for it\n")
	p.Fetching(2, 100*mib)
	fetch(p, c, 10*mib, 5*time.Second)
	p.tell(goesOn, nothing)
	const line = "Fetching [======>       ]  50%   50.0 of 100.0 MiB  10.0 MiB/s  5 s left\n"
	expect("a fetch", "Looking for it\n"+line)
	s.Warn("careful")
	expect("a warning", "Looking for it\nWarning: careful\n")
	p.tell(goesOn, nothing)
	expect("after the warning", "Looking for it\nWarning: careful\n"+line)
	resize(20)
	p.tell(goesOn, nothing)
	expect("narrow", "Looking for it\nWarning: careful\nFetching  50%\n")
	resize(8)
	p.tell(goesOn, nothing)
	expect("very narrow", "Looking\nfor it\nWarning:\n careful\n50%\n")
	resize(80)
	visible = false
	fetch(p, c, 10*mib, 4*time.Second)
	p.tell(goesOn, nothing)
	expect("in the background", "Looking for it\nWarning: careful\n50%\n")
	visible = true
	p.FetchedLayer(50 * mib)
	p.FetchedLayer(50 * mib)
	p.FetchDone()
	expect("at the end of the fetch", "Looking for it\nWarning: careful\nFetched 2 layers, 100.0 MiB in 9 s\n")
	p.Step("Building 深度操作系统")
	c.pass(5 * time.Second)
	p.tell(goesOn, nothing)
	const done = "Looking for it\nWarning: careful\nFetched 2 layers, 100.0 MiB in 9 s\nBuilding 深度操作系统"
	expect("a long step", done+"  5 s\n")
	p.tell(ended, nothing)
	s.Say("the end")
	expect("the end", done+"\nthe end\n")
}

// cooked writes as a terminal driver does.
type cooked struct{ w writer }

func (c cooked) Write(p []byte) (int, error) {
	_, _ = c.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n")))
	return len(p), nil
}

// An interrupt erases a bar, and nothing is shown after it.
func TestInterruptedBar(t *testing.T) {
	c, screen := newClock(), terminal.NewScreen(80)
	p := newProgress(c.now)
	p.line = &liveLine{w: cooked{screen.Write}, columns: func() int { return 80 }, visible: func() bool { return true }}
	p.with(&bar{line: p.line})
	p.Step("Looking for it")
	p.Fetching(2, 100*mib)
	fetch(p, c, 10*mib, 5*time.Second)
	p.tell(goesOn, nothing)
	p.cancelled = func() error { return context.Canceled }
	p.FetchDone() // may come before the interrupt is told
	p.tell(interrupted, nothing)
	p.Step("more")
	if got, want := screen.String(), "Looking for it\n"; got != want {
		t.Errorf("on the screen is %q; want %q", got, want)
	}
}

// A Reporter that writes to no terminal writes lines, or nothing; ending it twice is no harm.
func TestReporter(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		var out, stderr bytes.Buffer
		s := &Screen{Out: &out, Err: &stderr}
		ctx, cancel := context.WithCancel(t.Context())
		r := s.Reporter(ctx, quiet)
		r.Step("a step")
		s.Say("said")
		s.EndProgress()
		s.EndProgress()
		cancel()
		r.Step("after the end")
		want := "a step\nsaid\n"
		if quiet {
			want = "said\n"
		}
		if stderr.String() != want {
			t.Errorf("quiet %v: %q; want %q", quiet, stderr.String(), want)
		}
	}
}

// A check is a bar that goes away, or plain lines; its result says what was checked.
func TestCheckIsShown(t *testing.T) {
	s := halfway()
	s.checking, s.objects, s.layers = true, 1200, 0
	const want = "Checking 1200 objects [=======>          ]  44%  0.81 of 1.80 GiB  11.2 MiB/s  1 min 31 s left"
	if got := fetchLine(s, 95); got != want {
		t.Errorf("got:\n%s; want:\n%s", got, want)
	}
	c := newClock()
	p, plain, drawn := newProgress(c.now), &bytes.Buffer{}, &bytes.Buffer{}
	line := &liveLine{w: drawn, columns: func() int { return 80 }, visible: func() bool { return true }}
	p.with(&plainLines{w: plain})
	p.with(&bar{line: line})
	p.Checking(2, 100*mib)
	for range 2 {
		c.pass(15 * time.Second)
		p.Checked(40 * mib)
		p.tell(goesOn, nothing)
	}
	p.CheckDone()
	if got, want := plain.String(), "Checking 2 objects, 100.0 MiB\nChecked 40.0 MiB of 100.0 MiB (40%)\n"; !strings.HasPrefix(got, want) {
		t.Errorf("plain lines are\n%s; want first\n%s", got, want)
	}
	if got := drawn.String(); !strings.Contains(got, "Checking [====>") || !strings.HasSuffix(got, "\r\x1b[J") {
		t.Errorf("drawn on a terminal: %q; want a bar that is erased", got)
	}
}
