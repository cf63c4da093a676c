package ui

import (
	"fmt"
	"io"
	"time"
)

// plainLines show progress where nothing can be drawn: in a log, or to a screen reader. A line
// says that a step begins, others how a long fetch goes.
type plainLines struct {
	w       io.Writer
	last    time.Time // of the last line about a fetch
	percent int       // in that
}

// How often there is a line about a fetch: for each tenth of the bytes, but not more often than
// oftenest, and as long as it lasts not more seldom than rarest.
const (
	oftenest = 10 * time.Second
	rarest   = time.Minute
)

func (p *plainLines) show(e event, s state) {
	switch {
	case e == stepBegun:
		fmt.Fprintln(p.w, s.step)
	case e == fetchBegun:
		p.last, p.percent = s.now, 0
		_, doing := s.doing()
		fmt.Fprintf(p.w, "%s, %s\n", doing, Size(s.total))
	case e == goesOn && s.fetching && p.due(s):
		p.last, p.percent = s.now, s.percent()
		fmt.Fprintln(p.w, s.progressText())
	case e == fetchEnded && !s.checking && (s.kept < s.layers || s.now.Sub(s.began) >= oftenest):
		fmt.Fprintln(p.w, s.summary())
	}
}

// due reports whether it is time for a line about a fetch.
func (p *plainLines) due(s state) bool {
	since := s.now.Sub(p.last)
	return since >= rarest || since >= oftenest && s.percent()/10 > p.percent/10
}
