package machines

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// An earlyBoot is how long an initramfs took.
type earlyBoot struct {
	started time.Duration // from the kernel's "Run /init" to the start of the system's systemd
	spoke   time.Duration // and to its first message
}

// A contender is an initramfs to measure.
type contender struct {
	name, initrd string
	systemds     int    // how many systemds there are until the system's has spoken
	last         string // what the kernel's log says last before the system's systemd starts
}

// BenchmarkEarlyBoot boots one disk with each initramfs in turn, b.N times, and reports
// medians, and the ratios to dracut's. There is no firmware, and each boot ends when the
// system's systemd has spoken. It needs machines, as make machines does.
func BenchmarkEarlyBoot(b *testing.B) {
	ctx := need(b)
	installer, err := disks.NewInstaller(ctx, vm.PC)
	if err != nil {
		b.Fatal(err)
	}
	from, err := installer.Boot(ctx)
	if err != nil {
		b.Fatal(err)
	}
	kernel, err := disks.Kernel(ctx)
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	cfg := installer.Installed(dir, filepath.Join(dir, "disk"), from.Disk)
	cfg.Disks = cfg.Disks[:1]
	if err := installer.Own(ctx, cfg.Disks[0].Path, from.Disk, "qcow2"); err != nil {
		b.Fatal(err)
	}
	cfg.Disks[0].Forget = true
	cfg.Kernel = filepath.Join(kernel, "vmlinuz")
	initrd, options := entryOf(ctx, b, cfg)
	cfg.Cmdline = strings.Join(options, " ")
	all := []contender{
		{"standalone", initrd, 1, "starting /usr/lib/systemd/systemd"},
		{"dracut", fileOf(ctx, b, "v1", "usr/lib/test-machine/dracut.img"), 2, "Switching root"},
		{"initramfs-tools", fileOf(ctx, b, "initramfs_tools", "usr/lib/modules/*/initramfs.img"), 1, ""},
	}
	times := make(map[string][]earlyBoot)
	for b.Loop() {
		for _, c := range all {
			cfg.Initrd = c.initrd
			times[c.name] = append(times[c.name], c.boot(ctx, b, cfg))
		}
	}
	for _, c := range all {
		mine, dracut := times[c.name], times["dracut"]
		if c.last != "" {
			b.ReportMetric(medianOf(mine, started), c.name+"-to-start-s")
			b.ReportMetric(medianOf(mine, started)/medianOf(dracut, started), c.name+"-to-start/dracut")
		}
		b.ReportMetric(medianOf(mine, spoke), c.name+"-to-message-s")
		b.ReportMetric(medianOf(mine, spoke)/medianOf(dracut, spoke), c.name+"-to-message/dracut")
	}
}

func started(e earlyBoot) time.Duration { return e.started }
func spoke(e earlyBoot) time.Duration   { return e.spoke }

// medianOf returns the median in seconds.
func medianOf(all []earlyBoot, of func(earlyBoot) time.Duration) float64 {
	var times []time.Duration
	for _, e := range all {
		times = append(times, of(e))
	}
	slices.Sort(times)
	return times[len(times)/2].Seconds()
}

// entryOf returns what the disk of a PC boots, for a kernel that no loader starts.
func entryOf(ctx context.Context, b *testing.B, cfg vm.Config) (initrd string, options []string) {
	b.Helper()
	raw := filepath.Join(cfg.Dir, "raw")
	command(b, "qemu-img", "convert", "-O", "raw", cfg.Disks[0].Path, raw)
	other := cfg
	other.Disks = []vm.Disk{{Path: raw}}
	initrd, options, err := vm.Entry(ctx, other)
	if err != nil {
		b.Fatal(err)
	}
	options = slices.DeleteFunc(options, func(arg string) bool { return strings.HasPrefix(arg, "root=") })
	return initrd, append(options, "root=LABEL=root")
}

// fileOf returns a file of an image.
func fileOf(ctx context.Context, b *testing.B, image, pattern string) string {
	b.Helper()
	layout, err := disks.Image(ctx, image)
	if err != nil {
		b.Fatal(err)
	}
	dir := filepath.Join(b.TempDir(), "root")
	if err := disks.Unpack(ctx, layout, image, dir); err != nil {
		b.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		b.Fatalf("image %s has %d files %s: %v", image, len(found), pattern, err)
	}
	return found[0]
}

// bootWork is how much processor time an early boot may take.
const bootWork = 10 * time.Minute

// boot boots until the system's systemd has spoken.
func (c contender) boot(ctx context.Context, b *testing.B, cfg vm.Config) earlyBoot {
	b.Helper()
	cfg.Dir = b.TempDir()
	m := vm.Launch(ctx, b, cfg)
	defer m.Kill()
	ctx, cancel := m.Bounded(ctx, bootWork)
	defer cancel()
	for strings.Count(m.Console(), "running in system mode") < c.systemds {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			b.Fatalf("%s: %v\n%s", c.name, err, m.Console())
		}
	}
	console := m.Console()
	began := at(b, console, "Run /init")
	e := earlyBoot{spoke: at(b, console, "running in system mode") - began}
	if c.last != "" {
		e.started = at(b, console, c.last) - began
	}
	b.Logf("%s: %v to its start, %v to its first message", c.name, e.started, e.spoke)
	return e
}

// at returns when the last message with a text was logged.
func at(b *testing.B, console, text string) time.Duration {
	b.Helper()
	all := regexp.MustCompile(fmt.Sprintf(`\[ *([0-9]+\.[0-9]+)\][^\n]*%s`, regexp.QuoteMeta(text))).FindAllStringSubmatch(console, -1)
	if len(all) == 0 {
		b.Fatalf("the kernel's log has no %q:\n%s", text, console)
	}
	seconds, err := strconv.ParseFloat(all[len(all)-1][1], 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(seconds * float64(time.Second))
}
