package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/terminal"
)

var updateSession = flag.Bool("update", false, "rewrite testdata/session/screens.txt")

// rewrite is set in the environment to do so.
const rewrite = "SYSUPDATE_IMAGE_REWRITE"

// A sitting is a person at a terminal, and a registry. What is on the screen is kept.
type sitting struct {
	t        *testing.T
	registry *ocitest.Registry
	layout   string
	record   strings.Builder
}

// TestSession has what a person sees who updates a machine, in testdata/session/screens.txt: all of it
// is the program's own on a terminal, except for what varies between two runs.
func TestSession(t *testing.T) {
	t.Parallel()
	if *updateSession { // the test runs in another process
		t.Log(os.Setenv(rewrite, "1"))
	}
	ns.Run(t, func(t *testing.T) {
		s := newSitting(t)
		s.says("The first image.")
		s.push("1", map[string]string{"etc/motd": "welcome", "usr/bin/tool": "one"})
		s.types("apply registry.example.org/os:stable", 0)
		s.bless()
		s.types("apply", 0)

		s.says("An update is available.")
		s.push("2", map[string]string{"etc/motd": "welcome", "etc/app.conf.d/default.conf": "x", "usr/bin/tool": "two"})
		s.types("apply --check", 10)
		s.types("status", 0)
		s.types("apply --plan", 0)

		s.says("A local file is where the update has a directory.")
		s.local("app.conf.d", "mine")
		s.types("apply", 1)
		s.types("status", 0)
		s.types("apply --plan", 0)
		s.types("apply --etc-conflicts=keep", 0)
		s.bless()

		s.says("The registry breaks off in the middle of the next update.")
		s.push("3", map[string]string{"etc/motd": "hello", "usr/bin/tool": "three"})
		s.registry.Pace(ocitest.Pace{After: 1 << 20, Free: 100 << 10})
		s.typesAndThen("apply", 1, func(term *terminal.Terminal) {
			term.WaitFor(`(49|50)%.* left`)
			s.record.WriteString(s.same(term.Screen()))
			waitForLayers(s.t, "/mnt", 6) // the small one is there
			s.registry.Pace(ocitest.Pace{After: 1, Gone: true})
			s.record.WriteString("(and then)\n")
		})

		s.says("It is back.")
		s.registry.Pace(ocitest.Pace{})
		s.types("apply", 0)
		s.types("status", 0)

		s.says("The update is not wanted after all.")
		s.types("rollback", 0)
		s.types("status", 0)
		s.types("history", 0)
		s.compare()
	})
}

// newSitting makes a machine at /mnt, and a registry that is called registry.example.org.
func newSitting(t *testing.T) *sitting {
	t.Helper()
	s := &sitting{t: t, registry: ocitest.NewRegistry(), layout: t.TempDir()}
	t.Cleanup(s.registry.Close)
	etc, sysroot := ns.Dir(t), t.TempDir()
	address := strings.TrimSuffix(s.registry.Name(), "/os")
	files := map[string]string{
		"registries.conf": fmt.Sprintf("[[registry]]\nprefix = \"registry.example.org\"\nlocation = %q\ninsecure = true\n", address),
		"policy.json":     `{"default": [{"type": "insecureAcceptAnything"}]}`,
	}
	err := os.Mkdir(filepath.Join(etc, "containers"), 0o755)
	for name, content := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(etc, "containers", name), []byte(content), 0o644))
	}
	err = errors.Join(err, syscall.Mount(etc, "/etc", "", syscall.MS_BIND, ""), syscall.Mount(sysroot, "/mnt", "", syscall.MS_BIND, ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Unmount("/etc", syscall.MNT_DETACH)
		_ = syscall.Unmount("/mnt", syscall.MNT_DETACH)
	})
	return s
}

// push gives the tag stable to an image of a version: a base that all have in common, the
// system, and something large.
func (s *sitting) push(version string, files map[string]string) {
	s.t.Helper()
	base, err1 := ocitest.NoiseLayer("usr/lib/base", 3<<20)
	system, err2 := ocitest.SystemLayer("Example OS", version, files)
	large, err3 := ocitest.NoiseLayer("usr/lib/large-"+version, 2<<20)
	s.must(err1, err2, err3)
	image := ocitest.Image{Layers: [][]byte{base, system, large}, Version: version, Created: "2001-02-03T04:05:06Z"}
	s.must(ocitest.WriteLayout(s.layout, version, image), s.registry.PushAs(s.layout, version, "stable"))
}

func (s *sitting) must(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

// bless has the deployments be good, as they are after they have booted.
func (s *sitting) bless() {
	s.t.Helper()
	entries, err := filepath.Glob("/mnt/boot/loader/entries/*+*.conf")
	s.must(err)
	for _, name := range entries {
		before, _, _ := strings.Cut(name, "+")
		s.must(os.Rename(name, before+".conf"))
	}
}

// local makes a local file in /etc of all deployments.
func (s *sitting) local(name, content string) {
	s.t.Helper()
	states, err := filepath.Glob("/mnt/state/deploy/*")
	s.must(err)
	for _, dir := range states {
		upper := filepath.Join(dir, "etc/upper")
		s.must(os.MkdirAll(upper, 0o755), os.WriteFile(filepath.Join(upper, name), []byte(content), 0o644))
	}
}

func (s *sitting) says(text string) { fmt.Fprintf(&s.record, "\n# %s\n", text) }

// types runs a command on the machine, and keeps what is on the screen in the end.
func (s *sitting) types(line string, want int) {
	s.t.Helper()
	s.typesAndThen(line, want, func(*terminal.Terminal) {})
}

// typesAndThen does something while the command runs.
func (s *sitting) typesAndThen(line string, want int, then func(*terminal.Terminal)) {
	s.t.Helper()
	fmt.Fprintf(&s.record, "\n$ sysupdate-image --sysroot /mnt %s\n", line)
	cmd := exec.Command("sysupdate-image", append([]string{"--sysroot", "/mnt"}, strings.Fields(line)...)...)
	cmd.Env = append(os.Environ(), "TERM=xterm")
	term := terminal.Start(s.t, cmd, 80)
	then(term)
	code := term.Wait()
	s.record.WriteString(s.same(term.Screen()))
	if code != want {
		s.t.Errorf("%s: exit code %d; want %d:\n%s", line, code, want, term.Screen())
	}
	if want != 0 {
		fmt.Fprintf(&s.record, "(exit code %d)\n", want)
	}
}

// same returns a screen with what varies in one form.
func (s *sitting) same(screen string) string {
	for _, r := range []struct{ what, by string }{
		{`127\.0\.0\.1:[0-9]+`, "127.0.0.1:5000"},
		{`\n?Fetched ([0-9]) (layers?), ([0-9.]+ MiB) in [0-9]+ s\n`, "\nFetched $1 $2, $3\n"},
		{`[0-9.]+ [KMGT]iB free`, "20.0 GiB free"},
		{`Free on the root file system: [0-9.]+ [KMGT]iB`, "Free on the root file system: 20.0 GiB"},
		{`at most [0-9.]+ KiB`, "at most 400.0 KiB"},
		{`\([0-9]{2} years ago\)`, "(25 years ago)"},
		{`20[0-9-]{8} [0-9:]{5}:[0-9]{2}`, "2026-02-01 09:30:00"},
		{` on 20[0-9-]{8} [0-9:]{5}`, " on 2026-02-01 09:30"},
		{` +[0-9.]+ [KMG]?i?B/s  [0-9a-z ]+ left`, "   1.2 MiB/s  1 s left"},
	} {
		screen = regexp.MustCompile(r.what).ReplaceAllString(screen, r.by)
	}
	return screen
}

// compare compares the session with testdata/session/screens.txt.
func (s *sitting) compare() {
	s.t.Helper()
	const name = "testdata/session/screens.txt"
	got := strings.TrimPrefix(s.record.String(), "\n")
	if os.Getenv(rewrite) != "" {
		s.must(os.WriteFile(name, []byte(got), 0o644))
	}
	want, err := os.ReadFile(name)
	s.must(err)
	if got != string(want) {
		s.t.Errorf("the session is now:\n%s\nwant as in %s", got, name)
	}
}
