package terminal

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// A Screen is what a terminal shows, which is endlessly high. It knows the sequences that
// programs of this project write, and notes all others as Unknown. When it gets narrower it
// breaks lines that are too long, as most terminals do.
type Screen struct {
	// Progress are the states that were set by OSC 9;4, such as "1;50".
	Progress []string
	// Unknown are sequences that it does not know.
	Unknown []string

	columns int
	lines   [][]string // the cells of each line; "" is the second half of a wide character
	line    int        // where the cursor is
	cell    int        // in the line, which may take several rows
	full    bool       // the cursor is after the last column, and the next character begins a row
	rest    []byte     // of what was written: the beginning of a sequence
}

// NewScreen returns an empty screen.
func NewScreen(columns int) *Screen { return &Screen{columns: columns, lines: make([][]string, 1)} }

// Resize changes the width.
func (s *Screen) Resize(columns int) { s.columns, s.full = columns, false }

// Write shows text.
func (s *Screen) Write(data []byte) {
	data = append(s.rest, data...)
	for len(data) > 0 {
		n := s.take(data)
		if n == 0 {
			break
		}
		data = data[n:]
	}
	s.rest = append([]byte(nil), data...)
}

// take shows what text begins with, and returns how many bytes that is: 0 if it is not complete.
func (s *Screen) take(text []byte) int {
	switch text[0] {
	case '\r':
		s.column0()
		return 1
	case '\n':
		s.down()
		return 1
	case '\x1b':
		return s.sequence(text)
	}
	if !utf8.FullRune(text) {
		return 0
	}
	r, n := utf8.DecodeRune(text)
	s.print(r)
	return n
}

func (s *Screen) sequence(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '[':
		for i := 2; i < len(text); i++ {
			if text[i] >= 0x40 {
				s.control(string(text[2:i]), text[i])
				return i + 1
			}
		}
		return 0
	case ']':
		end := strings.Index(string(text), "\x1b\\")
		if end < 0 {
			return 0
		}
		if state, ok := strings.CutPrefix(string(text[2:end]), "9;4;"); ok {
			s.Progress = append(s.Progress, state)
		} else {
			s.Unknown = append(s.Unknown, string(text[:end]))
		}
		return end + 2
	}
	s.Unknown = append(s.Unknown, string(text[:2]))
	return 2
}

// control obeys a control sequence.
func (s *Screen) control(parameters string, kind byte) {
	switch {
	case kind == 'J' && parameters == "":
		s.lines = s.lines[:s.line+1]
		s.lines[s.line] = s.lines[s.line][:min(s.cell, len(s.lines[s.line]))]
	case kind == 'A':
		n := 0
		_, _ = fmt.Sscanf(parameters, "%d", &n)
		for range n {
			s.up()
		}
	default:
		s.Unknown = append(s.Unknown, "["+parameters+string(kind))
	}
}

func (s *Screen) column0() {
	if s.full {
		s.cell, s.full = s.cell-1, false
	}
	s.cell -= s.cell % s.columns
}

// down moves the cursor to the row below, as a line feed does.
func (s *Screen) down() {
	column := s.cell % s.columns
	if s.full {
		column, s.full = 0, false
	} else if next := s.cell - column + s.columns; next < len(s.lines[s.line]) {
		s.cell += s.columns
		return
	}
	s.line, s.cell = s.line+1, column
	if s.line == len(s.lines) {
		s.lines = append(s.lines, nil)
	}
}

// up moves the cursor to the row above.
func (s *Screen) up() {
	s.full = false
	switch {
	case s.cell >= s.columns:
		s.cell -= s.columns
	case s.line > 0:
		column := s.cell
		s.line--
		last := max(len(s.lines[s.line])-1, 0)
		s.cell = last - last%s.columns + column
	}
}

func (s *Screen) print(r rune) {
	width := runewidth.RuneWidth(r)
	line := s.lines[s.line]
	if width == 0 {
		if s.cell > 0 && s.cell <= len(line) {
			line[s.cell-1] += string(r)
		}
		return
	}
	if width == 2 && s.cell%s.columns == s.columns-1 { // it does not fit in the last column
		line = set(line, s.cell, " ")
		s.cell++
	}
	line = set(line, s.cell, string(r))
	if width == 2 {
		line = set(line, s.cell+1, "")
	}
	s.lines[s.line] = line
	s.cell += width
	s.full = s.cell%s.columns == 0
}

func set(line []string, i int, cell string) []string {
	for len(line) <= i {
		line = append(line, " ")
	}
	line[i] = cell
	return line
}

// String returns the rows, without spaces at their ends and without empty ones at the end.
func (s *Screen) String() string {
	var rows []string
	for _, line := range s.lines {
		for {
			n := min(len(line), s.columns)
			rows = append(rows, strings.TrimRight(strings.Join(line[:n], ""), " "))
			if line = line[n:]; len(line) == 0 {
				break
			}
		}
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n") + "\n"
}
