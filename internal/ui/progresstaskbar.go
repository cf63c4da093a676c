package ui

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A taskbar has a terminal show progress on its tab or in the taskbar: OSC 9;4, see
// https://conemu.github.io/en/AnsiEscapeCodes.html.
type taskbar struct {
	w     io.Writer
	shown string
	last  time.Time
}

// again is how often the same is told once more: Ghostty forgets it after 15 seconds, lest it
// be that of a program that was killed.
const again = 5 * time.Second

func (t *taskbar) show(e event, s state) {
	text := "3;0" // something goes on
	switch {
	case e == ended || e == interrupted:
		if t.shown == "" {
			return
		}
		text = "0;0"
	case s.fetching:
		text = fmt.Sprintf("1;%d", s.percent())
	}
	if text == t.shown && s.now.Sub(t.last) < again {
		return
	}
	t.shown, t.last = text, s.now
	fmt.Fprintf(t.w, "\x1b]9;4;%s\x1b\\", text)
}

// taskbarVariable is the environment variable that decides whether a terminal shows progress on
// its tab or in the taskbar: 1 or 0.
const taskbarVariable = "SYSUPDATE_IMAGE_TERMINAL_PROGRESS"

// showsProgress reports whether a terminal is known to understand OSC 9;4. To others it may be a
// notification that pops up. A multiplexer has the environment of the terminal that it was
// started in, and another one now.
func showsProgress(getenv func(string) string) bool {
	if wish := getenv(taskbarVariable); wish != "" {
		return wish == "1"
	}
	kind := getenv("TERM")
	if strings.HasPrefix(kind, "screen") || strings.HasPrefix(kind, "tmux") {
		return false
	}
	switch getenv("TERM_PROGRAM") {
	case "ghostty", "WezTerm", "mintty":
		return true
	case "iTerm.app":
		return atLeast(getenv("TERM_PROGRAM_VERSION"), 3, 6, 6)
	}
	vte, _ := strconv.Atoi(getenv("VTE_VERSION"))
	return kind == "xterm-ghostty" || getenv("WT_SESSION") != "" || getenv("ConEmuANSI") == "ON" || vte >= 8000
}

// atLeast reports whether a version is that of want or a later one.
func atLeast(version string, want ...int) bool {
	parts := strings.Split(version, ".")
	for i, least := range want {
		if i >= len(parts) {
			return least == 0
		}
		if n, err := strconv.Atoi(parts[i]); err != nil || n != least {
			return err == nil && n > least
		}
	}
	return true
}
