package status

import (
	"fmt"
	"strings"
	"time"
)

// summary returns what there is to say of the machine besides its deployments, a line each.
func (s Status) summary() []string {
	var lines []string
	add := func(name, text string) { lines = append(lines, name+": "+text) }
	if s.Newest != nil {
		add("Update", s.Newest.text())
	}
	if s.LastMerge != nil {
		add("/etc", s.LastMerge.text())
	}
	if s.Verbose && s.Loader != "" {
		add("Loader", s.Loader)
	}
	if s.Verbose && s.VarPartition != "" {
		add("/var", s.VarPartition)
	}
	for _, e := range s.ESPs {
		if s.Verbose {
			add("Further ESP", e.text())
		}
	}
	if s.Disk != nil {
		for _, line := range s.Disk.text(s) {
			add("Disk", line)
		}
	}
	return lines
}

// text tells people what the merge did.
func (m LastMerge) text() string {
	text := count(m.Changes, "local change") + " carried over"
	if m.Conflicts > 0 {
		text += ", " + count(m.Conflicts, "conflict")
	}
	if t := when(m.Time); t != "" {
		text += " on " + t
	}
	return text
}

// when returns a time in RFC 3339 for people, "" if it is not one.
func when(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// ago returns how long before s.Now a time in RFC 3339 was, in days or more, "" if that is not
// known or less.
func (s Status) ago(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	days := int(s.Now.Sub(t).Hours() / 24)
	switch {
	case err != nil || s.Now.IsZero() || days < 1:
		return ""
	case days < 60:
		return count(days, "day") + " ago"
	case days < 730:
		return count(days/30, "month") + " ago"
	}
	return count(days/365, "year") + " ago"
}

// shortDigest returns a digest of which people know the beginning.
func shortDigest(d string) string {
	algorithm, hex, ok := strings.Cut(d, ":")
	if !ok {
		return d
	}
	return algorithm + ":" + hex[:min(len(hex), 12)]
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// size returns bytes for people, in MiB or more.
func size(bytes int64) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}
