package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/timeline"
)

// spanJSON is a part of the boot for programs, in microseconds since the kernel began.
type spanJSON struct {
	Name     string `json:"name"`
	Start    int64  `json:"startUSec"`
	Duration int64  `json:"durationUSec"`
}

type timelineJSON struct {
	Phases   []spanJSON `json:"phases"`
	Steps    []spanJSON `json:"initramfsSteps"`
	Complete *int64     `json:"bootCompleteUSec"`
}

// PrintTimelineJSON prints where the time of a boot went, as JSON.
func (s *Screen) PrintTimelineJSON(t timeline.Timeline) error {
	out := timelineJSON{Phases: spansJSON(t.Phases), Steps: spansJSON(t.Steps)}
	if t.Complete > 0 {
		at := t.Complete.Microseconds()
		out.Complete = &at
	}
	return s.PrintJSON(out)
}

func spansJSON(spans []timeline.Span) []spanJSON {
	all := make([]spanJSON, 0, len(spans))
	for _, s := range spans {
		all = append(all, spanJSON{s.Name, s.Start.Microseconds(), (s.End - s.Start).Microseconds()})
	}
	return all
}

// PrintTimeline prints where the time of a boot went: a line for each phase and, indented
// below it, for each step of the initramfs, when it began in the phase and how long it took.
func (s *Screen) PrintTimeline(t timeline.Timeline) error {
	var b strings.Builder
	for _, p := range t.Phases {
		fmt.Fprintf(&b, "%-10s %9s\n", p.Name, seconds(p.End-p.Start))
		if p.Name != timeline.Initramfs {
			continue
		}
		for _, step := range t.Steps {
			fmt.Fprintf(&b, "  %8s  %8s  %s\n", "+"+seconds(step.Start-p.Start), seconds(step.End-step.Start), printable.Name(step.Name))
		}
	}
	first, last := t.Phases[0], t.Phases[len(t.Phases)-1]
	fmt.Fprintf(&b, "%-10s %9s\n", "total", seconds(last.End-first.Start))
	if t.Complete > 0 {
		fmt.Fprintf(&b, "boot-complete.target was reached %s after the kernel began.\n", seconds(t.Complete))
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3fs", d.Seconds()) }
