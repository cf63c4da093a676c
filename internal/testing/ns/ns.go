// Package ns runs tests that mount file systems, each in new namespaces, so that nothing
// they do is visible outside, and everything is undone when they end.
package ns

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
)

// inside is set in the environment of a test that runs in its namespaces.
const inside = "SYSUPDATE_NSTEST"

// Run runs f as root of a mount namespace that nobody else is in, by starting
// the test binary once more for the test t alone. It is to be the first thing
// that a test does, and the last.
//
// If the test is run by root, f is run by real root, and may mount anything that
// the kernel can. Otherwise it is root of a user namespace, which may mount
// tmpfs, overlay and bind mounts only; NeedRealRoot skips what needs more.
// /run is an empty tmpfs. Mounts are best made below Dir.
func Run(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
			t.Fatalf("mount tmpfs at /run: %v", err)
		}
		f(t)
		return
	}
	see(t, ".")
	out, err := command(t.Name()).CombinedOutput()
	switch {
	case err != nil:
		t.Fatalf("in its namespace: %v\n%s", err, indent(out))
	case bytes.Contains(out, []byte("--- SKIP: "+t.Name()+" ")):
		t.Skipf("in its namespace:\n%s", indent(out))
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")):
		t.Fatalf("did not run in its namespace:\n%s", indent(out))
	case testing.Verbose():
		t.Logf("in its namespace:\n%s", indent(out))
	}
}

// see opens all folders of a test's package: go test knows what a test reads only of the
// process that it starts, and would repeat the result of another testdata.
func see(t *testing.T, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.IsDir() {
			see(t, dir+"/"+d.Name())
		}
	}
}

// Dir returns a temporary directory as t.TempDir does, from which everything is
// unmounted before it is removed.
func Dir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		for _, m := range slices.Backward(mounts(t)) {
			if m.Where != dir && !strings.HasPrefix(m.Where, dir+"/") {
				continue
			}
			// One that was below another is gone already.
			err := syscall.Unmount(m.Where, syscall.MNT_DETACH)
			if err != nil && err != syscall.EINVAL && err != syscall.ENOENT {
				t.Errorf("unmount %s: %v", m.Where, err)
			}
		}
	})
	return dir
}

func mounts(t *testing.T) []mountplan.Mounted {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	all, err := mountplan.ParseMountinfo(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// NeedRealRoot skips a test that was not started by root.
func NeedRealRoot(t *testing.T) {
	t.Helper()
	uidMap, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if fields := strings.Fields(string(uidMap)); os.Geteuid() != 0 || len(fields) != 3 || fields[1] != "0" {
		t.Skip("not root: the kernel lets only root mount EROFS and read trusted.overlay attributes")
	}
}

// command returns the test binary, to run the one test in fresh namespaces.
func command(name string) *exec.Cmd {
	var pattern []string
	for part := range strings.SplitSeq(name, "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run="+strings.Join(pattern, "/"), "-test.v", "-test.count=1", fmt.Sprintf("-test.short=%v", testing.Short()))
	cmd.Env = append(os.Environ(), inside+"="+name)
	// Unsharing in the child, rather than cloning into a new namespace, has the
	// standard library make all mounts private.
	attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid := os.Geteuid(); uid != 0 {
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	cmd.SysProcAttr = attr
	return cmd
}

func indent(out []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		fmt.Fprintf(&b, "    %s", line)
	}
	return b.String()
}
