// Package ui renders the values of the other packages for people: results, plans,
// reports and progress as text, all of them as JSON on request, and the advice that
// goes with an error. Only it and the commands know how commands and flags are called.
//
// A command opens what it works on, calls one function of a library, and hands what
// that returns to a Screen:
//
//	screen := &ui.Screen{Out: os.Stdout, Err: os.Stderr}
//	plan, err := machine.Plan(ctx, options, screen.Reporter(ctx, quiet))
//	screen.EndProgress()
//	if err != nil {
//		return err
//	}
//	return screen.PrintPlan(plan, policy)
//
// Names of files, images and packages are printed so that a terminal only shows them.
package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
)

// A Screen is where a command writes: results to Out, all else to Err.
type Screen struct {
	Out, Err io.Writer
	About    About // what the command is about

	progress *Progress // of the command; nil before Reporter
}

// Warn tells the administrator of something to look at.
func (s *Screen) Warn(text string) { s.Say("Warning: " + text) }

// WarnOf warns of an error, with advice.
func (s *Screen) WarnOf(err error) { s.Warn(Advise(err, s.About).Error()) }

// Say prints a line about what is being done.
func (s *Screen) Say(text string) { s.PrintError(printable.Text(text)) }

// PrintJSON prints v for programs, and for people: <, > and & as they are, and with
// escapes for what a terminal would not show.
func (s *Screen) PrintJSON(v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := s.Out.Write(printable.JSON(text.Bytes()))
	return err
}

// Name returns a name that does no more to a terminal than be seen.
func Name(name string) string { return printable.Name(name) }

// Count returns "1 layer" or "3 layers".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Size returns bytes for a person: "512 B", "1.5 MiB".
func Size(bytes int64) string {
	if bytes < 1024 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes)/1024, 0
	for units := "KMGTPE"; value >= 1024 && unit < len(units)-1; unit++ {
		value /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}
