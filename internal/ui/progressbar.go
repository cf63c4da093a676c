package ui

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A bar shows progress on a terminal: a step, or how much of the layers has come, in a line
// that stays when it is complete.
type bar struct{ line *liveLine }

func (b *bar) show(e event, s state) {
	switch e {
	case stepBegun:
		b.line.leave()
		b.line.draw(s.step, func(columns int) string { return stepLine(s, columns) })
	case fetchBegun:
		b.line.leave()
		b.fetching(s)
	case goesOn:
		if s.fetching {
			b.fetching(s)
		} else if b.line.stays != "" {
			b.line.draw(s.step, func(columns int) string { return stepLine(s, columns) })
		}
	case fetchEnded:
		b.line.draw(s.summary(), func(int) string { return "" })
		b.line.leave()
	case ended, interrupted:
		b.line.leave()
	}
}

func (b *bar) fetching(s state) {
	b.line.draw("", func(columns int) string { return fetchLine(s, columns) })
}

// longStep is how long a step takes before it is shown for how long.
const longStep = 3 * time.Second

// stepLine returns the line of a step that goes on.
func stepLine(s state, columns int) string {
	elapsed := ""
	if took := s.now.Sub(s.began); took >= longStep {
		elapsed = "  " + duration(took)
	}
	room := columns - 1 - len(elapsed)
	if room < len(elapsed) {
		return runewidth.Truncate(s.step, max(columns-1, 0), "")
	}
	return runewidth.Truncate(s.step, room, "...") + elapsed
}

// The widths of the parts of the line: bars, and what the last column leaves to the others. How
// far a bar goes must not depend on how long the other texts are at the moment.
const (
	leastBar, mostBar = 10, 30
	rateWidth         = len("1023 KiB/s")
	leftWidth         = len("9 min 59 s left")
)

// fetchLine returns the line of a fetch that goes on: as much of it as has room.
func fetchLine(s state, columns int) string {
	rate, left := s.pace()
	short, long := s.doing()
	percent, bytes := fmt.Sprintf("%3d%%", s.percent()), bytesText(s.bytes, s.total)
	end := left
	if rate != "" || left == "" {
		end = fmt.Sprintf("%*s  %s", rateWidth, rate, left)
	}
	const endWidth = rateWidth + 2 + leftWidth
	for _, l := range []struct {
		label string
		bar   bool
		parts []string
		last  int // how wide the last part may become
	}{
		{long, true, []string{percent, bytes, end}, endWidth},
		{short, true, []string{percent, bytes, end}, endWidth},
		{short, false, []string{percent, bytes, end}, endWidth},
		{short, false, []string{percent, bytes, left}, leftWidth},
		{short, false, []string{percent, left}, leftWidth},
		{short, false, []string{percent}, len(percent)},
	} {
		line := l.label
		last := l.parts[len(l.parts)-1]
		room := columns - 1 - len(line) - 1 - max(len(last), l.last)
		for _, part := range l.parts[:len(l.parts)-1] {
			room -= len(part) + 2
		}
		if l.bar {
			room -= len(" []") + leastBar
		}
		if room < 0 {
			continue
		}
		if l.bar {
			line += " " + drawBar(s, min(leastBar+room, mostBar))
		}
		return strings.TrimRight(line+" "+strings.Join(l.parts, "  "), " ")
	}
	return runewidth.Truncate(strings.TrimSpace(percent), max(columns-1, 0), "")
}

// drawBar returns a bar of so many columns between brackets.
func drawBar(s state, width int) string {
	n := 0
	if s.total > 0 {
		n = int(min(s.bytes, s.total) * int64(width) / s.total)
	}
	done := strings.Repeat("=", n)
	if 0 < n && n < width {
		done = done[1:] + ">"
	}
	return fmt.Sprintf("[%-*s]", width, done)
}

// A liveLine is the last line on a terminal, drawn again and again in its place. It does nothing
// while a program in the foreground has the terminal.
type liveLine struct {
	w       io.Writer
	columns func() int  // of the terminal
	visible func() bool // nobody else has the terminal

	drawn string // what is there; "" for nothing
	stays string // what stays there in the end; "" for nothing
}

// draw draws a line in place of what was drawn. stays is what stays of it: see leave.
func (l *liveLine) draw(stays string, line func(columns int) string) {
	l.stays = stays
	columns := l.columns()
	text := line(columns)
	if text == l.drawn && l.rows(columns) == 1 || !l.visible() {
		return
	}
	_, _ = io.WriteString(l.w, l.erase(columns)+text)
	l.drawn = text
}

// leave ends the line: what stays is there, and the cursor is below that.
func (l *liveLine) leave() {
	if l == nil || l.drawn == "" && l.stays == "" {
		return
	}
	text := ""
	if l.visible() {
		text = l.erase(l.columns())
	}
	if l.stays != "" {
		text += l.stays + "\n"
	}
	_, _ = io.WriteString(l.w, text)
	l.drawn, l.stays = "", ""
}

// erase returns what erases the line.
func (l *liveLine) erase(columns int) string {
	switch rows := l.rows(columns); {
	case l.drawn == "":
		return ""
	case rows > 1:
		return fmt.Sprintf("\r\x1b[%dA\x1b[J", rows-1)
	}
	return "\r\x1b[J"
}

// rows returns in how many rows the line is: a terminal that was made narrower has broken it.
func (l *liveLine) rows(columns int) int {
	return max(1, (runewidth.StringWidth(l.drawn)+columns-1)/columns)
}

// usualColumns is for terminals that do not tell how wide they are, such as a serial line.
const usualColumns = 80

// columnsOf returns how to find out how wide a terminal is at the moment.
func columnsOf(f *os.File) func() int {
	return func() int {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
		return usualColumns
	}
}

// inForeground returns how to find out whether this program has the terminal. A shell may have
// it while the program is in the background.
func inForeground(f *os.File) func() bool {
	return func() bool { return sys.InForeground(f) }
}
