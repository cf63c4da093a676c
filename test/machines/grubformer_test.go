package machines

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/grub"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// formerConfig is the grub.cfg of a system as grub-mkconfig makes it, as far as that decides
// what is booted.
const formerConfig = `set timeout=0
set default=0
set config_directory=/boot/grub
menuentry 'Debian GNU/Linux' --id old {
  linux %s %s
  initrd %s
}
if [ -f ${config_directory}/custom.cfg ]; then
  source ${config_directory}/custom.cfg
fi
`

// TestGRUBFormer has the GRUB of another system boot ours by its menu, and its own system once
// that is the default again.
func TestGRUBFormer(t *testing.T) {
	ctx, began := needLong(t), time.Now()
	loaders, err := disks.Loader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := disks.Image(ctx, "grub")
	if err != nil {
		t.Fatal(err)
	}
	dir, esp := t.TempDir(), t.TempDir()
	tree := filepath.Join(dir, "tree")
	if err := disks.Unpack(ctx, layout, "grub", tree); err != nil {
		t.Fatal(err)
	}
	publishFormer(t, tree, esp, loaders)
	for want, first := range map[string]bool{"good": true, "old": false} {
		disk := filepath.Join(dir, want+".raw")
		makeESP(ctx, t, disk, esp)
		custom := enterFormer(t, esp, disk, first)
		output(ctx, t, "mcopy", "-o", "-i", disk, custom, "::/boot/grub/custom.cfg")
		cfg := vm.Config{Kind: vm.PC, Dir: t.TempDir(), MemoryMiB: 512, CPUs: 1, Disks: []vm.Disk{{Path: disk, Serial: "esp"}}}
		if boots := bootsUntil(ctx, t, cfg, want); !slices.Equal(boots, []string{want}) {
			t.Errorf("with the entry as the default: %t, it boots %s; want %s", first, boots, want)
		}
	}
	t.Logf("in %s", time.Since(began).Round(time.Second))
}

// publishFormer makes a directory that is a boot partition with a tree's GRUB, a good entry of
// ours, and a grub.cfg of another system.
func publishFormer(t *testing.T, tree, dir, loaders string) {
	t.Helper()
	p, err := boot.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	putGRUB(t, p, tree)
	e := panicsKernel(t, p, loaders)
	e.Options = bootsAs(e.Options, "good", goodID)
	publishEntry(t, p, e)
	writeFormer(t, dir, e)
}

// writeFormer puts grub.cfg where the GRUB looks that is in the directory.
func writeFormer(t *testing.T, dir string, e bootentry.Entry) {
	t.Helper()
	options := strings.Replace(e.Options, "test.boots=good", "test.boots=old", 1)
	text := fmt.Sprintf(formerConfig, e.Linux, options, strings.Join(e.Initrds, " "))
	err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "boot/grub"), 0o755),
		os.WriteFile(filepath.Join(dir, "boot/grub/grub.cfg"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(dir, "EFI/debian/grub.cfg"), []byte(text), 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
}

// enterFormer adds our entry to the menu of the GRUB whose files are in a directory, for the boot
// partition that is a disk, and returns the file.
func enterFormer(t *testing.T, dir, disk string, first bool) string {
	t.Helper()
	file, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	id, err := superblock.FATID(file)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	former, err := grub.FindFormer(root)
	if err != nil || former == nil {
		t.Fatal("there is no GRUB", err)
	}
	if err := former.Enter(durable.OS(root), root, id, first); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, former.Custom())
}
