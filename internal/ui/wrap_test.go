package ui

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

func TestWrap(t *testing.T) {
	for in, want := range map[string]string{
		"":           "",
		"short\n":    "short\n",
		"no newline": "no newline",
		"one two three four five six seven eight\n":                                               "one two three four five\n  six seven eight\n",
		"● booted  Example OS (1) registry.example.org/os\n          more and more words of it\n": "● booted  Example OS (1)\n          registry.example.org/os\n          more and more\n          words of it\n",
		" → next    Example OS (1) of us\n            details\n":                                  " → next    Example OS\n            (1) of us\n            details\n",
		"registry.example.org/a/very/long/name and\n":                                             "registry.example.org/a/very/long/name\n  and\n",
		"    registry.example.org/a/very/long/name\n":                                             "    registry.example.org/a/very/long/name\n",
		"漢字漢字漢字 漢字漢字漢字 漢字\n":                                                                      "漢字漢字漢字\n  漢字漢字漢字 漢字\n",
		"Note: a b c d e f g h i j k l m n o p\n\nNote: x\n":                                      "Note: a b c d e f g h i\n  j k l m n o p\n\nNote: x\n",
	} {
		if got := wrap(in, 24); got != want {
			t.Errorf("wrap(%q) = %q; want %q", in, got, want)
		}
		if got := wrap(in, 10); got != in {
			t.Errorf("on a terminal that is too narrow: %q; want %q", got, in)
		}
	}
}

// Nothing is lost, and no line that could be broken is too long.
func TestWrapAnything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{" ", " ", "  ", "\n", "a", "word", "registry.example.org/os", "漢字", "\xff", "é", "●→"}
	for range 20000 {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		text, columns := b.String(), leastColumns+random.IntN(30)
		got := wrap(text, columns)
		if a, b := strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(got), " "); a != b {
			t.Fatalf("wrap(%q, %d) = %q", text, columns, got)
		}
		for line := range strings.Lines(got) {
			line = strings.TrimRight(line, " \n")
			if words := strings.Fields(line); runewidth.StringWidth(line) > columns && len(words) > 2 && strings.HasPrefix(line, words[0]) {
				t.Fatalf("wrap(%q, %d) has the line %q", text, columns, line)
			}
		}
	}
}
