package machines

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/loader"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestGRUBCounts is TestLoaderCounts for GRUB, which shim starts, and for three updates one after
// the other: what has failed is not tried again when another one fails, nor does GRUB wait for
// somebody where it cannot load the kernel. Kernel arguments survive it.
func TestGRUBCounts(t *testing.T) {
	ctx, began := needLong(t), time.Now()
	loaders, err := disks.Loader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := disks.Image(ctx, "grub")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	if err := disks.Unpack(ctx, layout, "grub", tree); err != nil {
		t.Fatal(err)
	}
	esp := t.TempDir()
	publishGRUB(t, tree, esp, loaders)
	disk := filepath.Join(dir, "disk")
	makeESP(ctx, t, disk, esp)
	cfg := vm.Config{Kind: vm.PC, Dir: dir, MemoryMiB: 512, CPUs: 1, Disks: []vm.Disk{{Path: disk, Serial: "esp"}}}
	boots := bootsUntil(ctx, t, cfg, "good")
	t.Logf("boots %s, in %s", boots, time.Since(began).Round(time.Second))
	if want := []string{"second", "second", "second", "trial", "trial", "trial", "good"}; !slices.Equal(boots, want) {
		t.Errorf("boots %s; want %s", boots, want)
	}
	contains(t, "grubenv", output(ctx, t, "mtype", "-i", disk, "::"+boot.GRUBEnv), "trial=sysupdate-image-000002-", "left=0", "spent= sysupdate-image-000004-", " sysupdate-image-000003-")
	console, err := os.ReadFile(filepath.Join(dir, "console.log"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "the console", string(console), `"test.words=a b $c;d"`)
}

// publishGRUB makes a directory that is a boot partition with a tree's GRUB, a good entry,
// two on trial, and one on trial whose kernel is damaged.
func publishGRUB(t *testing.T, tree, dir, loaders string) {
	t.Helper()
	p, err := boot.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	putGRUB(t, p, tree)
	trial := panicsKernel(t, p, loaders)
	trial.Options = `test.words="a b $c;d" ` + trial.Options
	good := trial
	good.Options = bootsAs(good.Options, "good", goodID)
	second := trial
	second.Options = bootsAs(second.Options, "second", "c")
	damaged := damagedKernel(t, p)
	for _, e := range []bootentry.Entry{good, trial, second, damaged} {
		publishEntry(t, p, e)
	}
	// A password for GRUB's editor does not keep the machine from booting.
	if err := os.WriteFile(filepath.Join(dir, boot.GRUBDir, "custom.cfg"), []byte("set superusers=admin\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, damaged.Linux), make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
}

// putGRUB puts the GRUB of a tree on a boot partition.
func putGRUB(t *testing.T, p *boot.Partition, tree string) {
	t.Helper()
	open := func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join(tree, name)) }
	l, err := loader.Find(deployment.GRUB, open, runtime.GOARCH)
	if err == nil {
		err = l.Prepare(p)
	}
	if err == nil {
		_, err = l.Install(p, p, deployment.Loader{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func publishEntry(t *testing.T, p *boot.Partition, e bootentry.Entry) {
	t.Helper()
	name, err := p.StageEntry(e)
	if err == nil {
		err = p.Publish(name)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// bootsAs returns the options of panicsKernel for another system.
func bootsAs(options, name string, id deployment.ID) string {
	return strings.Replace(options, "test.boots=trial composefs="+long(trialID), "test.boots="+name+" composefs="+long(id), 1)
}

// damagedKernel returns the entry of a kernel of its own, which is to be damaged later.
func damagedKernel(t *testing.T, p *boot.Partition) bootentry.Entry {
	t.Helper()
	digest, _, err := p.WriteKernel(t.Context(), strings.NewReader("kernel"), strings.NewReader("initramfs"))
	if err != nil {
		t.Fatal(err)
	}
	return boot.NewEntry("OS", "1", p.KernelDir(digest), "test.boots=damaged composefs="+long("d"))
}
