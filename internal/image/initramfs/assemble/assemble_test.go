package assemble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
)

const version = "6.12.1-test"

// dep is the modules.dep of a small kernel, whose modules are compressed in every way.
const dep = `kernel/fs/erofs/erofs.ko.xz:
kernel/fs/overlayfs/overlay.ko.gz:
kernel/fs/ext4/ext4.ko.zst: kernel/fs/jbd2/jbd2.ko
kernel/fs/jbd2/jbd2.ko:
kernel/fs/btrfs/btrfs.ko: kernel/lib/raid6/raid6_pq.ko
kernel/lib/raid6/raid6_pq.ko:
kernel/crypto/xxhash_generic.ko:
kernel/crypto/crc32c_generic.ko:
kernel/arch/x86/crypto/crc32c-intel.ko:
kernel/drivers/nvme/host/nvme.ko: kernel/drivers/nvme/host/nvme-core.ko
kernel/drivers/nvme/host/nvme-core.ko:
kernel/drivers/nvme/host/nvme-auth.ko:
kernel/drivers/virtio/virtio_pci.ko:
kernel/drivers/block/virtio_blk.ko:
kernel/drivers/net/virtio_net.ko:
`

const alias = `alias crypto-crc32c crc32c_intel
alias crypto-crc32c crc32c_generic
alias crypto-xxhash64 xxhash_generic
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
alias virtio:d00000002v* virtio_blk
alias virtio:d00000001v* virtio_net
alias fs-ext4 ext4
`

// kernel makes a system with a kernel, whose modules contain their names.
func kernel(t testing.TB) (root string) {
	t.Helper()
	root = t.TempDir()
	dir := filepath.Join(root, modulesParent, version)
	write(t, filepath.Join(dir, "modules.dep"), dep)
	write(t, filepath.Join(dir, "modules.alias"), alias)
	write(t, filepath.Join(dir, "modules.softdep"), "softdep btrfs pre: xxhash64 crypto-xxhash64\n")
	write(t, filepath.Join(dir, "modules.weakdep"), "weakdep nvme_core nvme-auth\n")
	write(t, filepath.Join(dir, "modules.builtin"), "kernel/fs/efivarfs/efivarfs.ko\nkernel/drivers/scsi/sd_mod.ko\n")
	write(t, filepath.Join(root, program), "\x7fELF program")
	write(t, filepath.Join(root, rootconfig.File), "[etc]\nmount = 'bind'\n")
	write(t, filepath.Join(root, "usr/lib/os-release"), "ID=test\n")
	for line := range strings.Lines(dep) {
		name, _, _ := strings.Cut(line, ":")
		write(t, filepath.Join(dir, name), string(pack(t, name)))
	}
	return root
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// pack returns the content of a module's file.
func pack(t testing.TB, name string) []byte {
	t.Helper()
	return packed(t, name, []byte("\x7fELF "+plainName(name)))
}

// packed compresses the content of a module as the name of its file says.
func packed(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	switch filepath.Ext(name) {
	case ".gz":
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, err := z.Write(content)
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	case ".zst":
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return z.EncodeAll(content, nil)
	case ".xz":
		cmd := exec.Command("xz", "-c")
		cmd.Stdin = bytes.NewReader(content)
		out, err := cmd.Output()
		if err != nil {
			t.Skip("cannot make a module for the test: ", err)
		}
		return out
	}
	return content
}

// build builds an initramfs and returns its content and the names of its modules.
func build(t testing.TB, opts Options) ([]byte, Report) {
	t.Helper()
	opts.Out = filepath.Join(t.TempDir(), "out")
	report, err := File(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(opts.Out)
	if err != nil {
		t.Fatal(err)
	}
	return data, report
}

// names lists the modules in an initramfs by the modules.dep in it.
func names(t testing.TB, data []byte) string {
	t.Helper()
	var names []string
	for line := range strings.Lines(string(find(t, data, "usr/lib/modules/"+version+"/modules.dep"))) {
		file, _, _ := strings.Cut(line, ":")
		name := strings.TrimSuffix(filepath.Base(file), ".ko")
		names = append(names, name)
		want := "\x7fELF " + file
		if got := string(find(t, data, "usr/lib/modules/"+version+"/"+file)); got != want {
			t.Errorf("%s is %q; want %q", file, got, want)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func find(t testing.TB, data []byte, name string) []byte {
	t.Helper()
	found, err := initramfs.Find(t.Context(), bytes.NewReader(data), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := found[name]; !ok {
		t.Errorf("the initramfs has no %s", name)
	}
	return found[name]
}

func TestGeneric(t *testing.T) {
	root := kernel(t)
	data, report := build(t, Options{Root: root})
	want := "btrfs crc32c-intel crc32c_generic erofs ext4 jbd2 nvme nvme-auth nvme-core overlay raid6_pq virtio_blk virtio_pci xxhash_generic"
	if got := names(t, data); got != want {
		t.Errorf("modules %s; want %s", got, want)
	}
	if report.Version != version || report.Modules != strings.Count(want, " ")+1 || report.Size != int64(len(data)) || report.Compression != Zstd {
		t.Errorf("report %+v of %d bytes", report, len(data))
	}
	for name, want := range map[string]string{
		program: "\x7fELF program", rootconfig.File: "[etc]\nmount = 'bind'\n", "etc/initrd-release": "ID=test\n",
		"usr/lib/modules/" + version + "/modules.softdep": "softdep btrfs pre: xxhash64 crypto-xxhash64\n",
		"usr/lib/modules/" + version + "/modules.builtin": "kernel/drivers/scsi/sd_mod.ko\nkernel/fs/efivarfs/efivarfs.ko\n",
	} {
		if got := string(find(t, data, name)); got != want {
			t.Errorf("%s is %q; want %q", name, got, want)
		}
	}
	if aliases := string(find(t, data, "usr/lib/modules/"+version+"/modules.alias")); strings.Contains(aliases, "virtio_net") || !strings.Contains(aliases, "alias virtio:d00000002v* virtio_blk\n") {
		t.Errorf("modules.alias is %s", aliases)
	}
	// apply looks into an initramfs for how it mounts the root.
	files, err := initramfs.Find(t.Context(), bytes.NewReader(data), rootconfig.Names()...)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := rootconfig.OfInitramfs(files); err != nil || c.Etc != rootconfig.Bind || c.Var != rootconfig.Overlay {
		t.Errorf("OfInitramfs = %+v, %v", c, err)
	}
}

// TestReproducible: neither the time, nor the number of processors, nor the order in which
// a directory is read changes a byte.
func TestReproducible(t *testing.T) {
	root := kernel(t)
	first, _ := build(t, Options{Root: root})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	second, _ := build(t, Options{Root: root, KernelDir: filepath.Join(kernel(t), modulesParent, version)})
	if !bytes.Equal(first, second) {
		t.Error("two builds of the same files differ")
	}
	later, _ := build(t, Options{Root: root, Modified: time.Unix(1e9, 0)})
	if bytes.Equal(first, later) {
		t.Error("the time is not in the archive")
	}
}

// TestList has the tools of distributions list an initramfs, in each compression.
func TestList(t *testing.T) {
	root := kernel(t)
	for config, want := range map[string]Compression{"": Zstd, "CONFIG_RD_ZSTD=y\n": Zstd, "CONFIG_RD_GZIP=y\n# CONFIG_RD_ZSTD is not set\n": Gzip, "# none\n": Plain} {
		remove(t, root, "boot")
		if config != "" {
			config += "CONFIG_EROFS_FS=m\nCONFIG_EROFS_FS_XATTR=y\nCONFIG_OVERLAY_FS=m\nCONFIG_FS_VERITY=y\n"
			write(t, filepath.Join(root, "boot/config-"+version), config)
		}
		data, report := build(t, Options{Root: root})
		if report.Compression != want {
			t.Errorf("compressed as %s; want %s", report.Compression, want)
		}
		tool := map[Compression]string{Zstd: "zstd -dc", Gzip: "gzip -dc", Plain: "cat"}[want]
		cmd := exec.Command("sh", "-ec", tool+" | cpio --quiet -t")
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", tool, err, out)
		}
		list := strings.Fields(string(out))
		for _, name := range []string{"init", "dev/console", "sysroot", "usr/lib/modules/" + version + "/kernel/fs/erofs/erofs.ko", program} {
			if !slices.Contains(list, name) {
				t.Errorf("%s does not list %s:\n%s", tool, name, out)
			}
		}
	}
}

// TestMissing: what every boot needs ends the build, with a reason, and writes nothing.
func TestMissing(t *testing.T) {
	without := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "modules.dep"), strings.ReplaceAll(dep, name, "other"))
		}
	}
	for name, tt := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"erofs":      {without("erofs.ko"), "kernel 6.12.1-test has no erofs file system, neither built in nor as a module"},
		"overlay":    {without("overlay.ko"), "has no overlay file system"},
		"no depmod":  {func(t *testing.T, dir string) { remove(t, dir, "modules.dep") }, "has no erofs file system, neither built in nor as a module (there is no modules.dep: depmod(8) makes it)"},
		"no aliases": {func(t *testing.T, dir string) { remove(t, dir, "modules.alias") }, "kernel 6.12.1-test has no modules.alias, which tells the modules for devices: depmod(8) makes it"},
		"no program": {func(t *testing.T, dir string) { remove(t, dir, "../../../../"+program) }, "the system has no program /" + program},
		"no module":  {func(t *testing.T, dir string) { remove(t, dir, "kernel/fs/jbd2/jbd2.ko") }, "jbd2.ko: no such file"},
		"no file": {func(t *testing.T, dir string) {
			remove(t, dir, "kernel/fs/jbd2/jbd2.ko")
			mkdir(t, dir, "kernel/fs/jbd2/jbd2.ko")
		}, "not a regular file"},
		"not verity": {func(t *testing.T, dir string) {
			write(t, dir+"/config", "CONFIG_EROFS_FS=m\nCONFIG_EROFS_FS_XATTR=y\nCONFIG_OVERLAY_FS=m\n")
		}, "kernel 6.12.1-test was built without CONFIG_FS_VERITY"},
		"not xattrs": {func(t *testing.T, dir string) {
			write(t, dir+"/config", "CONFIG_EROFS_FS=m\n# CONFIG_EROFS_FS_XATTR is not set\n")
		}, "was built without CONFIG_EROFS_FS_XATTR"},
		"damaged xz":   {func(t *testing.T, dir string) { write(t, dir+"/kernel/fs/erofs/erofs.ko.xz", "\xfd7zXZ") }, "cannot read module kernel/fs/erofs/erofs.ko.xz: unexpected EOF"},
		"damaged gz":   {func(t *testing.T, dir string) { write(t, dir+"/kernel/fs/overlayfs/overlay.ko.gz", "") }, "cannot read module kernel/fs/overlayfs/overlay.ko.gz: EOF"},
		"damaged zst":  {func(t *testing.T, dir string) { write(t, dir+"/kernel/fs/ext4/ext4.ko.zst", "ELF") }, "cannot read module kernel/fs/ext4/ext4.ko.zst: "},
		"empty":        {func(t *testing.T, dir string) { write(t, dir+"/kernel/fs/jbd2/jbd2.ko", "") }, "cannot read module kernel/fs/jbd2/jbd2.ko: not an ELF file"},
		"no root":      {func(t *testing.T, dir string) { write(t, dir+"/modules.dep", "fs/erofs.ko:\nfs/overlay.ko:\n") }, "has no file system for a root (ext4, btrfs, xfs), neither built in nor as a module"},
		"bad path":     {func(t *testing.T, dir string) { write(t, dir+"/modules.dep", "/lib/erofs.ko:\n") }, `has the invalid path "/lib/erofs.ko"`},
		"two kernels":  {func(t *testing.T, dir string) { mkdir(t, dir, "../6.13") }, "several kernels have modules in"},
		"no kernel":    {func(t *testing.T, dir string) { remove(t, dir, "") }, "no kernel has modules in"},
		"no directory": {func(t *testing.T, dir string) { remove(t, dir, "..") }, "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			root, out := kernel(t), t.TempDir()
			tt.change(t, filepath.Join(root, modulesParent, version))
			_, err := File(t.Context(), Options{Root: root, Out: filepath.Join(out, "out")})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("File = %v; want an error with %q", err, tt.want)
			}
			if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
				t.Errorf("left over: %v, %v", left, err)
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestKeepsOld: after an error the file of before is there, and nothing else.
func TestKeepsOld(t *testing.T) {
	root, out := kernel(t), t.TempDir()
	name := filepath.Join(out, "initramfs.img")
	write(t, name, "old")
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := File(ctx, Options{Root: root, Out: name}); !errors.Is(err, enough) {
		t.Errorf("File = %v; want %v", err, enough)
	}
	old, err := os.ReadFile(name)
	if left, _ := os.ReadDir(out); err != nil || string(old) != "old" || len(left) != 1 {
		t.Errorf("the file is %q, %v, among %v; want the old one", old, err, left)
	}
}

// TestMonolithic has a kernel without any module.
func TestMonolithic(t *testing.T) {
	root := kernel(t)
	dir := filepath.Join(root, modulesParent, version)
	write(t, filepath.Join(dir, "modules.builtin"), "fs/erofs.ko\nfs/overlay.ko\nfs/ext4.ko\n")
	for _, name := range []string{"modules.dep", "modules.alias"} {
		remove(t, dir, name)
	}
	data, report := build(t, Options{Root: root})
	if got := names(t, data); got != "" || report.Modules != 0 {
		t.Errorf("modules %q; want none", got)
	}
}

// TestHost has a machine with its root on a btrfs behind dm-crypt on NVMe, and its boot
// partition on virtio.
func TestHost(t *testing.T) {
	root, machine := kernel(t), t.TempDir()
	at := func(name string) string { return filepath.Join(machine, name) }
	link := func(target, name string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(at(name)), 0o755), os.Symlink(target, at(name))); err != nil {
			t.Fatal(err)
		}
	}
	write(t, at("proc/self/mountinfo"), `22 1 0:20 / / ro,relatime shared:1 - overlay composefs ro
23 22 0:21 /root /sysroot rw - btrfs /dev/mapper/root rw,subvol=/root
24 22 254:1 / /boot rw - ext4 /dev/vda1 rw
25 22 8:1 / /home rw - xfs /dev/sda1 rw
`)
	const nvme, virtio = "sys/devices/pci0000:00/0000:00:03.0/nvme/nvme0/nvme0n1", "sys/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1"
	link("../dm-0", "dev/mapper/root")
	link("../../devices/virtual/block/dm-0", "sys/class/block/dm-0")
	link("../../../../../devices/pci0000:00/0000:00:03.0/nvme/nvme0/nvme0n1", "sys/devices/virtual/block/dm-0/slaves/nvme0n1")
	link("../../devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1", "sys/class/block/vda1")
	write(t, at(nvme+"/size"), "1")
	write(t, at(virtio+"/size"), "1")
	write(t, at("sys/devices/pci0000:00/0000:00:04.0/virtio1/modalias"), "virtio:d00000002v00001AF4\n")
	write(t, at("sys/devices/pci0000:00/0000:00:04.0/modalias"), "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00\n")
	write(t, at("sys/bus/pci/drivers/nvme/bind"), "")
	link("../../../bus/pci/drivers/nvme", "sys/devices/pci0000:00/0000:00:03.0/driver")
	link("../../../../module/nvme", "sys/bus/pci/drivers/nvme/module")

	data, _ := build(t, Options{Root: root, Machine: machine})
	want := "btrfs crc32c-intel crc32c_generic erofs ext4 jbd2 nvme nvme-auth nvme-core overlay raid6_pq virtio_blk virtio_pci xxhash_generic"
	if got := names(t, data); got != want {
		t.Errorf("modules %s; want %s", got, want)
	}
	write(t, at("proc/self/mountinfo"), "24 22 254:1 / / rw - ext4 /dev/vda1 rw\n")
	data, _ = build(t, Options{Root: root, Machine: machine})
	want = "crc32c-intel crc32c_generic erofs ext4 jbd2 overlay virtio_blk virtio_pci"
	if got := names(t, data); got != want {
		t.Errorf("modules %s; want %s", got, want)
	}
	write(t, at("proc/self/mountinfo"), "22 1 0:20 / / rw - overlay overlay rw\n")
	if _, err := File(t.Context(), Options{Root: root, Machine: machine, Out: filepath.Join(machine, "out")}); err == nil || !strings.Contains(err.Error(), "is on a disk") {
		t.Errorf("a machine without disks: %v", err)
	}
}

func TestParseKernelConfig(t *testing.T) {
	c := parseKernelConfig("# comment\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\nCONFIG_D=\"a=b\"\n#CONFIG_E=y\n\n")
	if got, want := fmt.Sprint(map[string]string(c)), `map[CONFIG_A:y CONFIG_C:m CONFIG_D:"a=b"]`; got != want {
		t.Errorf("config %s; want %s", got, want)
	}
}

// TestUnpackLarge: a module that inflates to more than any has is refused, and that costs no
// more memory than the limit.
func TestUnpackLarge(t *testing.T) {
	most := make([]byte, limits.Module.Value)
	copy(most, "\x7fELF")
	for _, name := range []string{"a.ko.gz", "a.ko.zst", "a.ko.xz"} {
		if testing.Short() && name == "a.ko.xz" {
			continue // takes seconds
		}
		for content, want := range map[string][]byte{"the largest": most, "a larger": append(most, 0)} {
			got, err := unpack(name, packed(t, name, want))
			if content == "the largest" && (err != nil || len(got) != len(most)) {
				t.Errorf("%s, %s: %d bytes, %v; want %d", name, content, len(got), err, len(most))
			}
			exceeded, ok := errors.AsType[*limits.Error](err)
			if content == "a larger" && (!ok || exceeded.Limit != limits.Module) {
				t.Errorf("%s, %s: %v; want %v", name, content, err, limits.Module.Exceeded())
			}
		}
	}
}

func FuzzUnpack(f *testing.F) {
	for _, name := range []string{"a.ko", "a.ko.gz", "a.ko.zst", "a.ko.xz"} {
		f.Add(name, pack(f, name))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if content, err := unpack(name, data); err == nil && !bytes.HasPrefix(content, []byte("\x7fELF")) {
			t.Errorf("unpack = %q", content)
		}
	})
}

func FuzzMountinfo(f *testing.F) {
	f.Add("24 22 254:1 / /boot rw - ext4 /dev/vda1 rw\n")
	f.Add("24 22 254:1 / / rw shared:1 - ext4 /dev/../../x rw\n")
	f.Fuzz(func(t *testing.T, table string) {
		m := inspector{machine: os.DirFS(t.TempDir())}
		for line := range strings.Lines(table) {
			if err := m.mount(line); err != nil && !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("mount(%q) = %v", line, err)
			}
		}
	})
}
