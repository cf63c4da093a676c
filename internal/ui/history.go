package ui

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
)

// History is a history as JSON, the oldest event first.
type History struct {
	Events deployment.History `json:"events"`
}

// eventWords are what a person reads for an event; %s is a deployment.
var eventWords = map[deployment.EventKind]string{
	deployment.EventInstalled:  "installed %s",
	deployment.EventStaged:     "staged %s",
	deployment.EventUpdated:    "updated to %s",
	deployment.EventRolledBack: "rolled back to %s",
	deployment.EventDropped:    "%s no longer boots next",
	deployment.EventBlessed:    "%s proved itself",
	deployment.EventFailed:     "%s failed to boot",
	deployment.EventFellBack:   "fell back to %s",
	deployment.EventUnfinished: "%s did not take over at shutdown",
	deployment.EventKargs:      "changed kernel arguments of %s",
	deployment.EventReset:      "reset; %s boots next with a fresh /etc and /var",
	deployment.EventUnreset:    "undid the reset; %s boots next with its old /etc and /var",
	deployment.EventOldRemoved: "removed the old system beside %s",
}

// PrintHistory prints a history, a line for each event and one for its reason.
func (s *Screen) PrintHistory(h deployment.History) error {
	w := bufio.NewWriter(s.Out)
	unread := 0
	for _, e := range h {
		if e.Unread != "" {
			unread++
			continue
		}
		words, known := eventWords[e.Kind]
		if !known {
			words = Name(string(e.Kind)) + " %s" // of a later version
		}
		line := fmt.Sprintf(words, versioned(e.ID, e.Version))
		if e.From != "" {
			line += ", from " + versioned(e.From, e.FromVersion)
		}
		if e.By != "" {
			line += ", by " + Name(e.By)
		}
		fmt.Fprintf(w, "%s  %s\n", when(e.Time), line)
		if e.Reason != "" {
			// Each line of it: one at the margin would look like an event.
			indent := strings.Repeat(" ", len(whenLayout)+2)
			fmt.Fprintln(w, indent+strings.ReplaceAll(printable.Text(e.Reason), "\n", "\n"+indent))
		}
	}
	if len(h) == 0 {
		fmt.Fprintln(w, "Nothing is recorded.")
	}
	if unread > 0 {
		s.Warn(Count(unread, "line") + " of the history cannot be read; --json shows what is there")
	}
	return w.Flush()
}

const whenLayout = "2006-01-02 15:04:05"

// when returns a time as people read it, in their time zone.
func when(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Sprintf("%-*s", len(whenLayout), Name(text))
	}
	return t.Local().Format(whenLayout)
}

// versioned returns "2 (0123456789ab)".
func versioned(id deployment.ID, version string) string {
	switch {
	case id == "":
		return "a deployment"
	case version == "":
		return "deployment " + id.Short()
	}
	return fmt.Sprintf("%s (%s)", Name(version), id.Short())
}
