package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// PrintText prints text for people. On a terminal, a line that is too long goes on below where
// it is set in, so that columns stay columns.
func (s *Screen) PrintText(text string) error { return writeWrapped(s.Out, text) }

// PrintAsIs prints a text whose lines are not to be broken.
func (s *Screen) PrintAsIs(text string) error {
	_, err := io.WriteString(s.Out, text)
	return err
}

// Clear makes a screen on which CanMove empty.
func (s *Screen) Clear() error { return s.PrintAsIs("\x1b[H\x1b[2J") }

// PrintError prints why a command has failed, as PrintText prints results.
func (s *Screen) PrintError(text string) { _ = writeWrapped(s.Err, text+"\n") }

// printf formats a text for PrintText.
func (s *Screen) printf(format string, args ...any) error {
	return s.PrintText(fmt.Sprintf(format, args...))
}

// sayf formats a line for Say.
func (s *Screen) sayf(format string, args ...any) { s.Say(fmt.Sprintf(format, args...)) }

func writeWrapped(w io.Writer, text string) error {
	if f := fileOf(w); f != nil {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			text = wrap(text, columns)
		}
	}
	_, err := io.WriteString(w, text)
	return err
}

// leastColumns is the width of a terminal below which nothing is wrapped any more.
const leastColumns = 24

// wrap returns text with its lines broken at spaces where they are longer than columns. A word
// that is longer stays whole, since it is to be copied.
func wrap(text string, columns int) string {
	if columns < leastColumns {
		return text
	}
	lines := strings.SplitAfter(text, "\n")
	var out strings.Builder
	for i, line := range lines {
		indent := hanging(line)
		if next := i + 1; next < len(lines) && setIn(lines[next]) > setIn(line) {
			indent = setIn(lines[next]) // the details of what the line is about
		}
		wrapLine(&out, line, min(indent, columns/2), columns)
	}
	return out.String()
}

// setIn returns how many spaces a line begins with.
func setIn(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// hanging returns how far the rest of a line is to be set in.
func hanging(line string) int {
	if n := setIn(line); n > 0 {
		return n
	}
	return 2
}

// wrapLine writes a line, broken where it is too long.
func wrapLine(out *strings.Builder, line string, indent, columns int) {
	for {
		end := lastBreak(line, setIn(line), columns)
		if end < 0 {
			out.WriteString(line)
			return
		}
		out.WriteString(strings.TrimRight(line[:end], " ") + "\n")
		line = strings.Repeat(" ", indent) + strings.TrimLeft(line[end:], " ")
	}
}

// lastBreak returns where to break a line: at the last space at which what is before it fits, or
// else at the first one. It is -1 if the line fits, or has none.
func lastBreak(line string, from, columns int) int {
	if runewidth.StringWidth(strings.TrimRight(line, " \n")) <= columns {
		return -1
	}
	end, width := -1, runewidth.StringWidth(line[:from])
	for i, r := range line[from:] {
		if r == ' ' && strings.TrimSpace(line[from+i:]) != "" {
			if end < 0 || width <= columns {
				end = from + i
			}
			if width > columns {
				break
			}
		}
		width += runewidth.RuneWidth(r)
	}
	return end
}
