package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/terminal"
)

// onTerminal starts the program on a terminal of so many columns.
func onTerminal(t *testing.T, columns int, environment []string, args ...string) *terminal.Terminal {
	t.Helper()
	cmd := exec.Command("sysupdate-image", args...)
	cmd.Env = append(append(os.Environ(), "TERM=xterm"), environment...)
	return terminal.Start(t, cmd, columns)
}

// A depot is a registry that has an image of three layers, of which the last is large, and an
// empty machine.
type depot struct {
	*ocitest.Registry
	sysroot string
	apply   []string // the command that applies the image
}

const (
	largeLayer = 3 << 20
	littleMore = 64 << 10 // above the size of the other two layers
)

func newDepot(t *testing.T, name string) *depot {
	t.Helper()
	layout, policy := t.TempDir(), filepath.Join(t.TempDir(), "policy.json")
	d := &depot{Registry: ocitest.NewRegistry(), sysroot: t.TempDir()}
	t.Cleanup(func() {
		d.CloseClientConnections()
		d.Close()
	})
	system, err1 := ocitest.SystemLayer(name, "1", nil)
	more, err2 := ocitest.NoiseLayer("usr/lib/more", littleMore/2)
	large, err3 := ocitest.NoiseLayer("usr/lib/large", largeLayer)
	err := errors.Join(err1, err2, err3, os.WriteFile(policy, []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o644),
		ocitest.WriteLayout(layout, "1", ocitest.Image{Layers: [][]byte{system, more, large}}), d.Push(layout, "1"))
	if err != nil {
		t.Fatal(err)
	}
	d.apply = []string{"--sysroot", d.sysroot, "apply", "--insecure-registry", "--policy", policy, d.Name() + ":1"}
	return d
}

// hold stops the registry after half of the large layer.
func (d *depot) hold() { d.Pace(ocitest.Pace{After: largeLayer / 2, Free: littleMore}) }

// seen returns a screen without what no two runs have in common.
func seen(screen string) string {
	for _, s := range []struct{ what, by string }{
		{`127\.0\.0\.1:[0-9]+/os`, "registry.example.org/os"},
		{`boot partition at [^\n]+(\n[^\n]+)?/boot`, "boot partition at BOOT"},
		{`deployment [0-9a-f]{12}`, "deployment ID"},
		{`required\s+\([^)]+\)`, "required (policy.json)"},
		{` +[0-9.]+ [KMG]?i?B/s  [0-9a-z ]+ left`, "  RATE  TIME left"},
		{` in [0-9]+ s\n`, "\n"},
	} {
		screen = regexp.MustCompile(s.what).ReplaceAllString(screen, s.by)
	}
	return screen
}

func expectScreen(t *testing.T, about string, term *terminal.Terminal, want string) {
	t.Helper()
	if got := seen(term.Screen()); got != want {
		t.Errorf("%s the screen is:\n%s; want:\n%s", about, got, want)
	}
	if unknown := term.Unknown(); len(unknown) > 0 {
		t.Errorf("%s: sequences that not every terminal knows: %q", about, unknown)
	}
}

// A person sees one line with a bar, whatever the width of the terminal becomes.
func TestProgressOnTerminal(t *testing.T) {
	t.Parallel()
	d := newDepot(t, "深度操作系统")
	d.hold()
	term := onTerminal(t, 80, nil, d.apply...)
	const looking = "Looking for docker://registry.example.org/os:1\n"
	term.WaitFor(`50%.* left`)
	expectScreen(t, "halfway", term, looking+"Fetching [========>         ]  50%  1.5 of 3.0 MiB  RATE  TIME left\n")
	term.Resize(120)
	term.WaitFor(`3 layers.*50%`)
	expectScreen(t, "wide", term, looking+"Fetching 3 layers [==============>               ]  50%  1.5 of 3.0 MiB  RATE  TIME left\n")
	term.Resize(50)
	term.WaitFor(`(?m)^Fetching  50%  .*(left|data for .*)$`)
	term.Resize(80)
	term.WaitFor(`\]  50%`)
	d.Pace(ocitest.Pace{})
	if code := term.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	expectScreen(t, "at the end", term, looking+`Fetched 3 layers, 3.0 MiB
Building 深度操作系统 (1)
Staging 深度操作系统 (1), with the boot partition at BOOT
Signature: not required (policy.json)
Deployed 深度操作系统 (1): boots next, deployment ID
`)
	if colour := regexp.MustCompile(`\x1b\[[0-9;]*m`).FindString(term.Raw()); colour != "" {
		t.Errorf("there are colours: %q", colour)
	}
}

// On 20 columns there is still what goes on, and how far it is.
func TestProgressOnNarrowTerminal(t *testing.T) {
	t.Parallel()
	d := newDepot(t, "深度操作系统")
	d.hold()
	term := onTerminal(t, 20, nil, d.apply...)
	term.WaitFor(`(?m)^Fetching  50%$`)
	d.Pace(ocitest.Pace{})
	if code := term.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got, want := term.Screen(), "\nFetched 3 layers, 3.\n0 MiB"; !strings.Contains(got, want) {
		t.Errorf("the screen is:\n%s; want in it:\n%s", got, want)
	}
}

// A screen reader gets plain lines: nothing is taken back.
func TestProgressOnDumbTerminal(t *testing.T) {
	t.Parallel()
	d := newDepot(t, "Example OS")
	d.hold()
	term := onTerminal(t, 80, []string{"TERM=dumb"}, d.apply...)
	term.WaitFor(`Fetching 3 layers, 3.0 MiB`)
	d.Pace(ocitest.Pace{})
	if code := term.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if raw := strings.ReplaceAll(term.Raw(), "\r\n", "\n"); strings.ContainsAny(raw, "\x1b\r") {
		t.Errorf("a dumb terminal is told to move its cursor: %q", raw)
	}
}

// What is on standard output is JSON alone, whatever is shown on the terminal meanwhile.
func TestProgressBesideJSON(t *testing.T) {
	t.Parallel()
	d := newDepot(t, "Example OS")
	var out bytes.Buffer
	cmd := exec.Command("sysupdate-image", append(d.apply, "--json")...)
	cmd.Env, cmd.Stdout = append(os.Environ(), "TERM=xterm", "SYSUPDATE_IMAGE_TERMINAL_PROGRESS=1"), &out
	term := terminal.Start(t, cmd, 80)
	if code := term.Wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, term.Screen())
	}
	var result struct{ Outcome string }
	if err := json.Unmarshal(out.Bytes(), &result); err != nil || result.Outcome != "published" {
		t.Errorf("%v: standard output is not the result: %q", err, out.String())
	}
	if states := term.Progress(); len(states) < 2 || states[len(states)-1] != "0;0" {
		t.Errorf("the terminal was told %q; want progress that is removed in the end", states)
	}
}

// Ctrl-C ends a fetch within what comes in a second, leaves nothing of the bar, and says what
// is kept; that is not fetched again.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	d := newDepot(t, "Example OS")
	const rate = largeLayer / 10
	d.Pace(ocitest.Pace{Rate: rate, Free: littleMore})
	term := onTerminal(t, 80, []string{"SYSUPDATE_IMAGE_TERMINAL_PROGRESS=1"}, d.apply...)
	term.WaitFor(` [1-9][0-9]%`)
	// The small layers are complete: their bytes were sent before.
	waitForLayers(t, d.sysroot, 2)
	sent := d.Sent()
	waitUntil(t, func() bool { return d.Sent() > sent+100<<10 })
	sent = d.Sent()
	term.Type("\x03")
	if code := term.Wait(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if more := d.Sent() - sent; more > rate {
		t.Errorf("after Ctrl-C %d bytes came, which takes more than a second", more)
	}
	got := regexp.MustCompile(`\([0-9.]+ KiB\)`).ReplaceAllString(seen(term.Screen()), "(33.0 KiB)")
	const want = `Looking for docker://registry.example.org/os:1
sysupdate-image: interrupted; the next boot is unchanged. Run the command again
  to resume: 2 of 3 layers (33.0 KiB) are kept
`
	if got != want {
		t.Errorf("the screen is:\n%s; want:\n%s", got, want)
	}
	if states := term.Progress(); len(states) < 2 || states[len(states)-1] != "0;0" {
		t.Errorf("the terminal was told %q; want progress that is removed in the end", states)
	}
	d.Pace(ocitest.Pace{})
	term = onTerminal(t, 80, []string{"TERM=dumb"}, d.apply...)
	if code := term.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(term.Screen(), "Fetching 1 layer, 3.0 MiB\n") {
		t.Errorf("the next run shows:\n%s; want that it fetches one layer", term.Screen())
	}
}

// waitUntil waits until something is so.
func waitUntil(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
	}
}

// waitForLayers waits until the repository has so many layers.
func waitForLayers(t *testing.T, sysroot string, n int) {
	t.Helper()
	streams := filepath.Join(sysroot, "composefs/streams/oci-layer-*")
	waitUntil(t, func() bool {
		found, _ := filepath.Glob(streams)
		return len(found) >= n
	})
}

// Ctrl-C ends what waits for a registry that does not answer.
func TestCtrlCWhileLooking(t *testing.T) {
	t.Parallel()
	d := newDepot(t, "Example OS")
	d.Stall()
	term := onTerminal(t, 80, nil, d.apply...)
	waitUntil(t, d.Asked)
	term.WaitFor(`Looking`)
	term.Type("\x03")
	if code := term.Wait(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	expectScreen(t, "after Ctrl-C", term, `Looking for docker://registry.example.org/os:1
sysupdate-image: interrupted; the next boot is unchanged. Run the command again
  to resume
`)
}
