package machines

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// A loaderCase is which loader boots an update whose kernel panics, and which one after the
// first boot of it.
type loaderCase struct {
	name, first, then string
	entry             func(*testing.T, *boot.Partition, string) bootentry.Entry
}

// TestLoaderCounts publishes the entry of a kernel that panics, and has a real loader boot it
// until it goes back to the good one. Nothing but the loader is in these machines.
func TestLoaderCounts(t *testing.T) {
	t.Parallel()
	need(t)
	// Both loaders have to count the entry.
	loaderCounts(t, loaderCase{"unified, replaced", "trixie.efi", "sid.efi", panicsUKI})
}

// TestLoaderCountsAll is the same for all that make check has no time for.
func TestLoaderCountsAll(t *testing.T) {
	t.Parallel()
	needLong(t)
	for _, c := range []loaderCase{
		{"unified, trixie", "trixie.efi", "trixie.efi", panicsUKI},
		{"unified, sid", "sid.efi", "sid.efi", panicsUKI},
		{"kernel, trixie", "trixie.efi", "trixie.efi", panicsKernel},
		{"kernel, sid", "sid.efi", "sid.efi", panicsKernel},
		{"kernel, replaced", "trixie.efi", "sid.efi", panicsKernel},
	} {
		t.Run(c.name, func(t *testing.T) { loaderCounts(t, c) })
	}
}

const goodID, trialID = deployment.ID("a"), deployment.ID("b")

func loaderCounts(t *testing.T, c loaderCase) {
	t.Helper()
	ctx, began := t.Context(), time.Now()
	loaders, err := disks.Loader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	makeESP(ctx, t, disk, publishTrial(t, c, loaders))
	cfg := vm.Config{Kind: vm.PC, Dir: dir, MemoryMiB: 512, CPUs: 1, Disks: []vm.Disk{{Path: disk, Serial: "esp"}}}
	var boots []string
	if c.then != c.first {
		boots = bootsUntil(ctx, t, cfg, "trial")
		output(ctx, t, "mcopy", "-o", "-i", disk, filepath.Join(loaders, c.then), "::EFI/BOOT/BOOTX64.EFI")
	}
	boots = append(boots, bootsUntil(ctx, t, cfg, "good")...)
	t.Logf("%s: boots %s, in %s", c.name, boots, time.Since(began).Round(time.Second))
	if want := []string{"trial", "trial", "trial", "good"}; !slices.Equal(boots, want) {
		t.Errorf("boots %s; want %s", boots, want)
	}
	names := output(ctx, t, "mdir", "-b", "-i", disk, "::loader/entries")
	if !strings.Contains(names, "+0-3.conf") {
		t.Errorf("entries are %s; want one without tries", names)
	}
}

// bootsUntil lets a machine boot until it boots what is wanted, cuts its power, and returns
// all that it has booted.
func bootsUntil(ctx context.Context, t *testing.T, cfg vm.Config, want string) (boots []string) {
	t.Helper()
	m := vm.Launch(ctx, t, cfg)
	if err := m.WaitConsole(ctx, "test.boots="+want); err != nil {
		t.Fatal(err)
	}
	m.Kill()
	for line := range strings.Lines(m.Console()) {
		// The kernel shows its arguments twice.
		if _, rest, found := strings.Cut(line, "] Command line: "); found {
			_, which, _ := strings.Cut(rest, "test.boots=")
			which, _, _ = strings.Cut(which, " ")
			boots = append(boots, strings.TrimSpace(which))
		}
	}
	return boots
}

// publishTrial returns a directory that is a boot partition with the first loader, a good
// entry, and one on trial.
func publishTrial(t *testing.T, c loaderCase, loaders string) string {
	t.Helper()
	dir := t.TempDir()
	p, err := boot.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	good := panicsKernel(t, p, loaders)
	good.Options = strings.Replace(good.Options, "test.boots=trial composefs="+long(trialID), "test.boots=good composefs="+long(goodID), 1)
	for _, e := range []bootentry.Entry{good, c.entry(t, p, loaders)} {
		name, err := p.StageEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Publish(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "EFI/BOOT"), 0o755); err != nil {
		t.Fatal(err)
	}
	loader, err := os.ReadFile(filepath.Join(loaders, c.first))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"EFI/BOOT/BOOTX64.EFI": loader, "loader/loader.conf": []byte("timeout 0\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// long returns an id of the right length that consists of a letter.
func long(id deployment.ID) string { return strings.Repeat(string(id), 128) }

// panicsKernel returns the entry of a kernel that finds no root.
func panicsKernel(t *testing.T, p *boot.Partition, loaders string) bootentry.Entry {
	t.Helper()
	kernel, err := os.Open(filepath.Join(loaders, "vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.Close()
	digest, _, err := p.WriteKernel(t.Context(), kernel, bytes.NewReader(make([]byte, 512)))
	if err != nil {
		t.Fatal(err)
	}
	return boot.NewEntry("OS", "1", p.KernelDir(digest), "console=ttyS0 panic=-1 test.boots=trial composefs="+long(trialID))
}

// panicsUKI is panicsKernel for a unified kernel image.
func panicsUKI(t *testing.T, p *boot.Partition, loaders string) bootentry.Entry {
	t.Helper()
	uki, err := os.Open(filepath.Join(loaders, "panics.efi"))
	if err != nil {
		t.Fatal(err)
	}
	defer uki.Close()
	id := deployment.ID(long(trialID))
	digest, _, err := p.WriteUKI(t.Context(), id, uki, nil)
	if err != nil {
		t.Fatal(err)
	}
	return boot.NewUKIEntry("OS", "2", digest, id)
}

// makeESP makes a disk that is one FAT file system with the content of dir.
func makeESP(ctx context.Context, t *testing.T, disk, dir string) {
	t.Helper()
	if err := vm.CreateDisk(ctx, disk, "raw", "128M"); err != nil {
		t.Fatal(err)
	}
	output(ctx, t, "mformat", "-F", "-i", disk, "::")
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	output(ctx, t, "mcopy", append([]string{"-s", "-i", disk}, append(names, "::")...)...)
}

// output runs a program of the host that must not fail.
func output(ctx context.Context, t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}
