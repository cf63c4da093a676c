// Package printable makes text from elsewhere safe to show on a terminal: names of files,
// titles of systems, and errors that contain them. It hides which characters a terminal
// would obey instead of showing.
package printable

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Name returns a name as it is, or quoted as in Go if a terminal would not show
// all of it, or if it could be taken for a quoted one.
func Name(name string) string {
	if strings.HasPrefix(name, `"`) || !utf8.ValidString(name) || strings.ContainsFunc(name, unseen) {
		return strconv.Quote(name)
	}
	return name
}

// Text returns a text of any number of lines, with escapes as in Go for what a
// terminal would not show.
func Text(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, unseenInText) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && size == 1 || unseenInText(r) {
			quoted := strconv.Quote(text[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// maxTitle is of how many characters a title may be.
const maxTitle = 128

// Title returns what a system is called as one line for people: with single
// spaces, without what cannot be seen, and cut where it is longer than anybody
// reads.
func Title(title string) string {
	title = strings.Map(func(r rune) rune {
		if unseen(r) {
			return ' '
		}
		return r
	}, title)
	title = strings.Join(strings.Fields(title), " ")
	if utf8.RuneCountInString(title) <= maxTitle {
		return title
	}
	return strings.TrimSpace(string([]rune(title)[:maxTitle-1])) + "…"
}

func unseen(r rune) bool { return !strconv.IsPrint(r) }

func unseenInText(r rune) bool { return unseen(r) && r != '\n' && r != '\t' }
