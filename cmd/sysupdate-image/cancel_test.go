package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// What was ended where it was tells to run it again only if it changes the machine.
func TestAbandoned(t *testing.T) {
	s := &session{host: host(), sysroot: filepath.Join(t.TempDir(), "nowhere")}
	if got := s.abandoned(); got != "interrupted" {
		t.Errorf("a command that changes nothing says %q", got)
	}
	if _, err := s.open(); err == nil {
		t.Error("a machine was opened that is none")
	}
	if got := s.abandoned(); !strings.Contains(got, "run it again to resume") {
		t.Errorf("a command that changes the machine says %q", got)
	}
	disk := "/dev/sdb"
	s = &session{}
	s.unfinished.Store(&disk)
	if got := s.abandoned(); got != "interrupted; /dev/sdb is incomplete. Start again with --wipe" {
		t.Errorf("an installation says %q", got)
	}
}

// Last words that nobody takes, as on a terminal that Ctrl-S has stopped, keep no program running.
func TestSayQuickly(t *testing.T) {
	reader, stopped := io.Pipe()
	defer reader.Close()
	began := time.Now()
	sayQuickly(stopped, "interrupted")
	if took := time.Since(began); took > patience {
		t.Errorf("took %v", took)
	}
	var taken bytes.Buffer
	sayQuickly(&taken, "interrupted")
	if taken.String() != "interrupted\n" {
		t.Errorf("said %q", taken.String())
	}
}

// A countdown is a context that ends when it has been asked for a number of times.
type countdown struct {
	context.Context
	end context.CancelFunc

	mu    sync.Mutex
	left  int
	ended time.Time
}

func newCountdown(n int) *countdown {
	ctx, end := context.WithCancel(context.Background())
	return &countdown{Context: ctx, end: end, left: n}
}

func (c *countdown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		c.ended = time.Now()
		c.end()
	}
	return c.Context.Err()
}

func (c *countdown) Done() <-chan struct{} {
	_ = c.Err()
	return c.Context.Done()
}

// sinceEnd returns how long ago the context has ended, and whether it has.
func (c *countdown) sinceEnd() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.ended), !c.ended.IsZero()
}

// An interruptible is a command line that is interrupted at every step. In it, DIR is a
// directory of its own, made from one with machines and images.
type interruptible struct {
	line string
	// again is what has to work after the interrupt, the same by default.
	again string
}

// interruptibles has every command but those that uninterruptible names.
var interruptibles = []interruptible{
	{line: "--sysroot DIR/new apply oci:DIR/os:1"},
	{line: "--sysroot DIR/sys apply oci:DIR/os:3"},
	{line: "--sysroot DIR/sys apply --plan oci:DIR/os:3"},
	{line: "--sysroot DIR/sys status"},
	{line: "--sysroot DIR/sys rollback", again: "--sysroot DIR/sys status"}, // which goes to and fro,
	{line: "--sysroot DIR/sys pin --name kept rollback", again: "--sysroot DIR/sys status"},
	{line: "--sysroot DIR/sys unpin pinned", again: "--sysroot DIR/sys status"},
	{line: "--sysroot DIR/sys rm rollback", again: "--sysroot DIR/sys prune"},
	{line: "--sysroot DIR/sys prune"},
	{line: "--sysroot DIR/sys kargs list"},
	{line: "--sysroot DIR/sys kargs add added"},
	{line: "--sysroot DIR/sys kargs remove rw"},
	{line: "--sysroot DIR/sys prune --dry-run"},
	{line: "--sysroot DIR/sys etc diff"},
	{line: "--sysroot DIR/sys etc report"},
	{line: "--sysroot DIR/sys etc reset /etc/local", again: "--sysroot DIR/sys etc diff"},
	{line: "etc merge --base DIR/one/etc --local DIR/three/etc --new DIR/two/etc --out DIR/out --etc-conflicts=keep"},
	{line: "image build --rootfs DIR/one -o DIR/image"},
	{line: "image diff DIR/one oci:DIR/os:2"},
	{line: "image digest --boot DIR/one"},
	{line: "image dump oci:DIR/os:1"},
	{line: "image inspect oci:DIR/os:1"},
	{line: "image ls -R oci:DIR/os:1"},
	{line: "initramfs build --root DIR/one -o DIR/initramfs.img"},
	{line: "lint --skip api-base-directories --skip baseimage-root --skip directories --skip init --skip initramfs oci:DIR/os:1"},
	{line: "container lint --rootfs DIR/one --skip api-base-directories --skip baseimage-root --skip directories --skip init --skip initramfs"},
	{line: "repo --repo DIR/sys/composefs images"},
	{line: "repo --repo DIR/sys/composefs fsck"},
	{line: "--sysroot DIR/sys repo fsck --repair"},
	{line: "repo --repo DIR/sys/composefs gc --dry-run"},
	{line: "--sysroot DIR/sys repo gc"},
	{line: "install to-filesystem DIR/root --esp DIR/esp --image oci:DIR/os:1 --karg quiet"},
	{line: "install to-existing-root DIR/three --esp DIR/esp --image oci:DIR/os:1 --bootloader none --keep-etc hostname"},
	{line: "--sysroot DIR/sys install reset", again: "--sysroot DIR/sys prune"}, // which is refused after another
	{line: "install print-configuration --image oci:DIR/os:1"},
}

// uninterruptible says why a command is not among the interruptibles.
var uninterruptible = map[string]string{
	"sysupdate-image kargs edit":                         "it is kargs add and remove after an editor",
	"sysupdate-image upgrade":                            "it is apply",
	"sysupdate-image switch":                             "it is apply",
	"sysupdate-image config-diff":                        "it is etc diff",
	"sysupdate-image container inspect":                  "it reads a few files",
	"sysupdate-image container compute-composefs-digest": "it is image digest",
	"sysupdate-image image mount":                        "it makes one mount",
	"sysupdate-image install verify":                     "it changes nothing, and checks a repository as repo fsck does",
	"sysupdate-image install to-disk":                    "it needs loop devices: see testdata/disk/interrupted.txtar",
	"sysupdate-image install to-image":                   "likewise",
	"sysupdate-image install boot-old":                   "it writes one short file",
	"sysupdate-image install remove-old":                 "it removes one thing after the other, and the next run what is left",
	"sysupdate-image install add-esp":                    "it needs a partition: TestMirrorStopped stops after each of its steps",
	"sysupdate-image install update-esps":                "likewise",
	"sysupdate-image install remove-esp":                 "it removes one thing after the other, and the next run what is left",
	"sysupdate-image usr-overlay":                        "it makes mounts that nobody sees before the last",
	"sysupdate-image motd":                               "it writes one short file",
	"sysupdate-image repo protect":                       "it needs fs-verity, and ends between two files: TestKilledWhileProtecting, TestProtect",
	"sysupdate-image history":                            "it reads one file",
	"sysupdate-image boot-timeline":                      "it reads what systemd says of the running system",
	"sysupdate-image manual":                             "it prints what it knows",
	"sysupdate-image completion":                         "it prints what it knows",
	"sysupdate-image help":                               "it prints what it knows",
}

// TestInterruptedCommands interrupts every command at more and more of its steps, until
// it completes. It ends within a second, holds nothing, and leaves nothing behind that
// the next run does not remove.
func TestInterruptedCommands(t *testing.T) {
	base := t.TempDir()
	makeMachines(t, base)
	before := names(t, base)
	for _, c := range interruptibles {
		t.Run(strings.ReplaceAll(c.line, "/", "∕"), func(t *testing.T) {
			t.Parallel()
			want, dir := "", filepath.Join(t.TempDir(), "d")
			for n := -1; ; n = max(2*n, 1) { // first without an interrupt
				// Not by another program: at its start it would have the locks of those beside it.
				err := errors.Join(os.CopyFS(dir, os.DirFS(base)), os.Chmod(filepath.Join(dir, "sys/composefs"), 0o700))
				if err != nil {
					t.Fatal(err)
				}
				interrupted := c.interrupt(t, dir, n)
				got := names(t, dir)
				if n < 0 {
					want = got
				}
				if left := without(got, before+"\n"+want); len(left) > 0 {
					t.Errorf("interrupted after %d steps: %q is left over", n, left)
				}
				if gone := without(want, got); len(gone) > 0 && c.again == "" {
					t.Errorf("interrupted after %d steps: %q is missing", n, gone)
				}
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if n >= 0 && !interrupted || t.Failed() {
					return
				}
			}
		})
	}
}

// interrupt runs the command until step n, and then what has to work again. It reports
// whether the command got as far as that.
func (c interruptible) interrupt(t *testing.T, dir string, n int) bool {
	t.Helper()
	ctx := newCountdown(n)
	defer ctx.end()
	var out bytes.Buffer
	code := run(ctx, host(), arguments(c.line, dir), &out, &out)
	took, ended := ctx.sinceEnd()
	switch {
	case !ended:
		if code != exitOK {
			t.Errorf("without an interrupt: exit code %d: %s", code, out.String())
		}
	case took > time.Second:
		t.Errorf("interrupted after %d steps: it took %v to end", n, took)
	case code != exitOK && !strings.Contains(out.String(), "interrupted"):
		t.Errorf("interrupted after %d steps: %s", n, out.String())
	}
	again := c.line
	if c.again != "" {
		again = c.again
	}
	if strings.Contains(again, "--out") && code == exitOK {
		return ended // it refuses to write what is there
	}
	out.Reset()
	if code := run(context.Background(), host(), arguments(again, dir), &out, &out); code != exitOK {
		t.Errorf("interrupted after %d steps, and again: exit code %d: %s", n, code, out.String())
	}
	return ended
}

func arguments(line, dir string) []string {
	return strings.Fields(strings.ReplaceAll(line, "DIR", dir))
}

// without returns the lines of a that b does not have.
func without(a, b string) (lines []string) {
	have := strings.Split(b, "\n")
	for _, line := range strings.Split(a, "\n") {
		if !slices.Contains(have, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// varying are parts of names that no two runs have in common.
var varying = regexp.MustCompile(`sysupdate-image-[0-9]+-`)

// names returns what is below a directory, a line each.
func names(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		if !d.IsDir() || !strings.Contains(name, "composefs/objects/") { // these stay when the last object has gone
			out = append(out, varying.ReplaceAllString(name, "sysupdate-image-N-"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// makeMachines makes images, directories, and a machine with two deployments, one of
// which is pinned, and a local change to /etc.
func makeMachines(t *testing.T, dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, tag := range []string{"one", "two", "three"} {
		for name, content := range map[string]string{
			"usr/lib/os-release": "PRETTY_NAME=\"Example OS\"", "etc/hostname": tag, "etc/" + tag: tag,
			"usr/lib/modules/6.12/vmlinuz": "kernel " + tag, "usr/lib/modules/6.12/initramfs.img": "initramfs",
			"usr/lib/systemd/boot/efi/systemd-bootx64.efi": "MZ loader", "usr/bin/large": strings.Repeat(tag, 1000),
			"usr/lib/sysupdate-image/init": "init", "usr/lib/modules/6.12/modules.dep": "ext4.ko:\nerofs.ko:\n",
			"usr/lib/modules/6.12/modules.alias": "alias fs-ext4 ext4\n", "usr/lib/modules/6.12/modules.builtin": "fs/overlay.ko\n", "usr/lib/modules/6.12/ext4.ko": "\x7fELF ext4", "usr/lib/modules/6.12/erofs.ko": "\x7fELF erofs",
			"boot/.keep": "", "sysroot/.keep": "", "var/.keep": "",
		} {
			name = filepath.Join(dir, tag, name)
			must(os.MkdirAll(filepath.Dir(name), 0o755))
			must(os.WriteFile(name, []byte(content), 0o644))
		}
		archive, err := ocitest.TarDir(filepath.Join(dir, tag))
		must(err)
		must(ocitest.WriteLayout(filepath.Join(dir, "os"), fmt.Sprint(i+1), ocitest.Image{Layers: [][]byte{archive}}))
	}
	for _, name := range []string{"sys", "new", "root", "esp"} {
		must(os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	for _, line := range []string{"apply oci:DIR/os:1", "apply oci:DIR/os:2", "pin --name pinned next"} {
		var out bytes.Buffer
		if code := run(t.Context(), host(), arguments("--sysroot DIR/sys "+line, dir), &out, &out); code != exitOK {
			t.Fatalf("%s: %s", line, out.String())
		}
	}
	if os.Geteuid() != 0 {
		return // nobody else may see what an overlay notes of local changes
	}
	states, err := filepath.Glob(filepath.Join(dir, "sys/state/deploy/*"))
	must(err)
	for _, state := range states {
		must(os.MkdirAll(filepath.Join(state, "etc/upper"), 0o755))
		must(os.WriteFile(filepath.Join(state, "etc/upper/local"), []byte(strings.Repeat("local", 100)), 0o644))
	}
}

// TestAllCommandsInterrupted finds a command that was added without a thought for this.
func TestAllCommandsInterrupted(t *testing.T) {
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
		name := strings.TrimPrefix(cmd.CommandPath(), "sysupdate-image ")
		refused := slices.ContainsFunc(refusals, func(r refusal) bool { return r.command == name && r.option == "" })
		if cmd.HasSubCommands() || refused || uninterruptible[cmd.CommandPath()] != "" {
			return
		}
		if !slices.ContainsFunc(interruptibles, func(c interruptible) bool {
			line := regexp.MustCompile(`--(sysroot|repo) \S+ `).ReplaceAllString(c.line, "")
			return strings.HasPrefix(line+" ", name+" ")
		}) {
			t.Errorf("%s is neither interrupted by a test nor uninterruptible", name)
		}
	}
	visit((&session{}).command())
}
