package modules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// debian is an index as depmod 34 writes it for Debian's kernels, shortened.
var debian = fstest.MapFS{
	"modules.dep": text(`kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz kernel/fs/mbcache.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/fs/mbcache.ko.xz:
kernel/lib/crc16.ko.xz:
kernel/fs/btrfs/btrfs.ko.xz: kernel/crypto/xor.ko.xz kernel/lib/raid6/raid6_pq.ko.xz
kernel/crypto/xor.ko.xz:
kernel/lib/raid6/raid6_pq.ko.xz:
kernel/crypto/crc32c_generic.ko.xz:
kernel/arch/x86/crypto/crc32c-intel.ko.xz:
kernel/crypto/xxhash_generic.ko.xz:
kernel/drivers/nvme/host/nvme.ko.xz: kernel/drivers/nvme/host/nvme-core.ko.xz
kernel/drivers/nvme/host/nvme-core.ko.xz:
kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko.xz
kernel/drivers/virtio/virtio.ko.xz:
kernel/drivers/ata/ahci.ko.xz: kernel/drivers/ata/libahci.ko.xz
kernel/drivers/ata/libahci.ko.xz:
kernel/drivers/usb/storage/usb-storage.ko.xz:
kernel/net/sched/act_mpls.ko:
kernel/net/mpls/mpls_gso.ko:
`),
	"modules.alias": text(`# Aliases extracted from modules themselves.
alias fs-ext4 ext4
alias fs-btrfs btrfs
alias devname:btrfs-control btrfs
alias crypto-crc32c crc32c_intel
alias x86cpu:vendor:*:family:*:model:*:feature:*0094* crc32c_intel
alias crc32c crc32c_generic
alias crypto-crc32c crc32c_generic
alias crypto-xxhash64 xxhash_generic
alias xxhash64 xxhash_generic
alias pci:v00008086d00000953sv*sd*bc*sc*i* nvme
alias pci:v*d*sv*sd*bc01sc08i02* nvme
alias pci:v*d*sv*sd*bc01sc06i01* ahci
alias virtio:d00000002v* virtio_blk
alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* usb_storage
alias usb:v0BDAp0138d1[0-1-]*dc*dsc*dp*ic*isc*ip*in* usb_storage
`),
	"modules.softdep": text(`# Soft dependencies extracted from modules themselves.
softdep btrfs pre: crc32c
softdep btrfs pre: xxhash64
softdep btrfs pre: blake2b-256
softdep act_mpls post: mpls_gso
softdep cifs gcm
`),
	"modules.weakdep": text("# Weak dependencies\nweakdep nvme_core nvme-tcp nvme-rdma\n"),
	"modules.builtin": text("kernel/fs/overlayfs/overlay.ko\nkernel/drivers/scsi/sd_mod.ko\n"),
	"modules.builtin.modinfo": text("overlay.license=GPL\x00overlay.alias=fs-overlay\x00overlay.file=fs/overlayfs/overlay\x00" +
		"sd_mod.alias=scsi:t-0x00*\x00crc32c_cryptoapi.alias=crypto-crc32c\x00"),
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func read(t testing.TB, fsys fs.FS) *Index {
	t.Helper()
	x, err := Read(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestLookup(t *testing.T) {
	x := read(t, debian)
	for alias, want := range map[string]string{
		"virtio:d00000002v00001AF4":                               "virtio_blk",
		"virtio:d00000003v00001AF4":                               "",
		"pci:v00008086d00000953sv00008086sd00003702bc01sc08i02":   "nvme",
		"pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02":   "nvme",
		"pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01":   "ahci",
		"usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00":       "usb_storage",
		"usb:v0BDAp0138d1111dc00dsc00dp00icFFiscFFipFFin00":       "usb_storage",
		"usb:v0BDAp0138d1211dc00dsc00dp00icFFiscFFipFFin00":       "",
		"x86cpu:vendor:0000:family:6:model:9:feature:,0013,0094,": "crc32c_intel",
		"crypto-crc32c": "crc32c_intel crc32c_generic crc32c_cryptoapi",
		"crypto_crc32c": "crc32c_intel crc32c_generic crc32c_cryptoapi",
		"fs-overlay":    "overlay",
		"scsi:t-0x00":   "sd_mod",
		"scsi:t-0x05":   "",
		"usb-storage":   "usb_storage",
		"usb_storage":   "usb_storage",
		"overlay":       "overlay",
		"":              "",
		"crypto-md5":    "",
	} {
		if got := strings.Join(x.Lookup(alias), " "); got != want {
			t.Errorf("Lookup(%q) = %q; want %q", alias, got, want)
		}
	}
}

func TestOrder(t *testing.T) {
	x := read(t, debian)
	for name, want := range map[string]string{
		"ext4":        "mbcache! crc16! jbd2! ext4!",
		"nvme":        "nvme_core! nvme!",
		"btrfs":       "raid6_pq! xor! crc32c_generic xxhash_generic btrfs!",
		"act-mpls":    "act_mpls! mpls_gso",
		"usb-storage": "usb_storage!",
		"overlay":     "",
	} {
		order, err := x.Order(name)
		if got := show(order); err != nil || got != want {
			t.Errorf("Order(%s) = %s, %v; want %s", name, got, err, want)
		}
	}
	order, err := x.Order("nvme")
	want := Module{"nvme_core", "kernel/drivers/nvme/host/nvme-core.ko.xz", true}
	if err != nil || order[0] != want {
		t.Errorf("Order(nvme) begins with %v, %v; want %v", order[0], err, want)
	}
}

// show returns names, with an exclamation mark after those that are required.
func show(order []Module) string {
	var names []string
	for _, m := range order {
		name := m.Name
		if m.Required {
			name += "!"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// TestOrderCycles: soft dependencies may lead in a circle, and to a module that is
// required anyway. What a module depends on still comes before it.
func TestOrderCycles(t *testing.T) {
	x := read(t, fstest.MapFS{
		"modules.dep":     text("a.ko: b.ko c.ko\nb.ko: c.ko\nc.ko:\nd.ko: a.ko b.ko c.ko\n"),
		"modules.softdep": text("softdep c pre: d a c\nsoftdep a pre: d post: a\nsoftdep d pre: d post: nothing d\n"),
	})
	for name, want := range map[string]string{"a": "c! b! a! d", "b": "c! b! a d", "c": "c! b a d", "d": "c! b! a! d!"} {
		order, err := x.Order(name)
		if got := show(order); err != nil || got != want {
			t.Errorf("Order(%s) = %s, %v; want %s", name, got, err, want)
		}
	}
}

func TestOrderErrors(t *testing.T) {
	for dep, want := range map[string]string{
		"":                               "cannot load module a: it is not in modules.dep",
		"no colon\n":                     "cannot load module a: it is not in modules.dep",
		"/lib/modules/1/a.ko:":           `cannot load module a: modules.dep has the invalid path "/lib/modules/1/a.ko"`,
		"a.ko: ../../../../../dev/zero:": `cannot load module a: modules.dep has the invalid path "../../../../../dev/zero:"`,
	} {
		order, err := read(t, fstest.MapFS{"modules.dep": text(dep)}).Order("a")
		if err == nil || err.Error() != want {
			t.Errorf("%q: Order = %v, %v; want %s", dep, order, err, want)
		}
	}
}

func TestMissing(t *testing.T) {
	x := read(t, fstest.MapFS{"modules.dep": text("")})
	want := []string{"modules.alias", "modules.softdep", "modules.weakdep", "modules.builtin", "modules.builtin.modinfo"}
	if !slices.Equal(x.Missing(), want) || x.Lookup("virtio:d00000002v00001AF4") != nil || x.Builtin("ext4") {
		t.Errorf("Missing = %q; want %q", x.Missing(), want)
	}
	if got := read(t, debian).Missing(); got != nil {
		t.Errorf("Missing = %q; want none", got)
	}
}

func TestWeakAndBuiltin(t *testing.T) {
	x := read(t, debian)
	if got := x.Weak("nvme-core"); !slices.Equal(got, []string{"nvme-tcp", "nvme-rdma"}) {
		t.Errorf("Weak = %q", got)
	}
	if !x.Builtin("sd-mod") || x.Builtin("ext4") {
		t.Errorf("Builtin(sd-mod), Builtin(ext4) = %v, %v; want true, false", x.Builtin("sd-mod"), x.Builtin("ext4"))
	}
}

// TestWrite reads again what was written: the modules that were chosen, and what is built
// in, are as in the whole index.
func TestWrite(t *testing.T) {
	x := read(t, debian)
	names := []string{"btrfs", "xor", "raid6-pq", "crc32c_generic", "crc32c_intel", "xxhash_generic", "act_mpls", "mpls_gso"}
	small := fstest.MapFS{}
	for name, data := range x.Write(names, func(file string) string { return strings.TrimSuffix(file, ".xz") }) {
		small[name] = &fstest.MapFile{Data: data}
	}
	y := read(t, small)
	for _, name := range names {
		want, err := x.Order(name)
		for i := range want {
			want[i].Path = strings.TrimSuffix(want[i].Path, ".xz")
		}
		if got, errSmall := y.Order(name); err != nil || errSmall != nil || !slices.Equal(got, want) {
			t.Errorf("Order(%s) = %v, %v; want %v, %v", name, got, errSmall, want, err)
		}
	}
	for alias, want := range map[string]string{"fs-btrfs": "btrfs", "crypto-crc32c": "crc32c_intel crc32c_generic", "virtio:d00000002v00001AF4": "", "nvme": "", "sd_mod": "sd_mod"} {
		if got := strings.Join(y.Lookup(alias), " "); got != want {
			t.Errorf("Lookup(%q) = %q; want %q", alias, got, want)
		}
	}
}

// TestReadErrors: what cannot be read is not taken for an empty index.
func TestReadErrors(t *testing.T) {
	dir := t.TempDir()
	alias := filepath.Join(dir, "modules.alias")
	for name, prepare := range map[string]func() error{
		"modules.alias: not a regular file":                 func() error { return syscall.Mkfifo(alias, 0o600) },
		limits.ModuleIndex.Exceeded().Error():               func() error { return errors.Join(os.WriteFile(alias, nil, 0o600), os.Truncate(alias, 1<<40)) },
		"modules.alias: not a regular file: is a directory": func() error { return os.Mkdir(alias, 0o700) },
	} {
		if err := prepare(); err != nil {
			t.Fatal(err)
		}
		_, err := Read(os.DirFS(dir))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Read = %v; want %s", err, name)
		}
		if err := os.Remove(alias); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		glob, text string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "/.a", true}, {"a*", "a", true}, {"a*b", "ab", true},
		{"a*b*c", "axbxbxc", true}, {"a*b*c", "axbxbx", false}, {"*ab", "aab", true}, {"**a**", "a", true}, {"a?c", "abc", true}, {"a?", "a", false},
		{"[0-9]", "5", true}, {"[0-9]", "a", false}, {"[!0-9]", "a", true}, {"[^0-9]", "5", false}, {"[]x]", "]", true}, {"[x-]", "-", true},
		{"[abc", "[abc", true}, {"[", "[", true}, {"[!", "[!", true}, {"[!]", "[!]", true}, {`\*`, "*", true}, {`\*`, "a", false}, {`\`, `\`, true},
		{"*[0-9]", "ab1", true}, {"*?b", "aab", true}, {"x86cpu:*0094*", "x86cpu:,0013,0094,", true},
	} {
		if got := match(tt.glob, tt.text); got != tt.want {
			t.Errorf("match(%q, %q) = %v; want %v", tt.glob, tt.text, got, tt.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	data := func(name string) string { return string(debian[name].Data) }
	f.Add(data("modules.dep"), data("modules.alias"), data("modules.softdep"), data("modules.builtin"), data("modules.builtin.modinfo"), "fs-btrfs")
	f.Add("a.ko: b.ko\nb.ko:", "alias [a-* a\nalias ? b", "softdep a pre: b post: a\nsoftdep b pre: a", "c.ko", "c.alias=*\x00", "x")
	f.Fuzz(func(t *testing.T, dep, alias, soft, builtin, modinfo, wanted string) {
		x := read(t, fstest.MapFS{
			"modules.dep": text(dep), "modules.alias": text(alias), "modules.softdep": text(soft), "modules.weakdep": text(soft),
			"modules.builtin": text(builtin), "modules.builtin.modinfo": text(modinfo),
		})
		for _, name := range x.Lookup(wanted) {
			order, err := x.Order(name)
			if err != nil {
				continue
			}
			seen := make(map[string]bool)
			for _, m := range order {
				if seen[m.Name] || !fs.ValidPath(m.Path) || nameOf(m.Path) != m.Name {
					t.Errorf("Order(%s) = %v", name, order)
				}
				seen[m.Name] = true
			}
			if !x.Builtin(name) && !seen[name] {
				t.Errorf("Order(%s) = %v: it is not in it", name, order)
			}
		}
	})
}

// FuzzMatch compares with a matcher that tries everything.
func FuzzMatch(f *testing.F) {
	f.Add("a*b?[0-9]*", "axxbc5")
	f.Add(`[!x]*[]]\`, `y]\`)
	f.Fuzz(func(t *testing.T, glob, text string) {
		if len(glob) > 20 || len(text) > 20 || strings.Count(glob, "*") > 5 {
			return // trying everything would take too long
		}
		if got, want := match(glob, text), slowMatch(glob, text); got != want {
			t.Errorf("match(%q, %q) = %v; want %v", glob, text, got, want)
		}
	})
}

func slowMatch(glob, text string) bool {
	switch {
	case glob == "":
		return text == ""
	case glob[0] == '*':
		return slowMatch(glob[1:], text) || text != "" && slowMatch(glob, text[1:])
	case text == "":
		return false
	}
	n := matchOne(glob, text[0])
	return n > 0 && slowMatch(glob[n:], text[1:])
}

// generic returns an index as large as that of a distribution's generic kernel.
func generic() fstest.MapFS {
	var dep, alias strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&dep, "kernel/drivers/net/m%d.ko.xz: kernel/lib/m%d.ko.xz kernel/lib/m%d.ko.xz\n", i, i/2, i/3)
	}
	for i := range 15000 {
		fmt.Fprintf(&alias, "alias pci:v%08Xd%08Xsv*sd*bc*sc*i* m%d\n", 0x8086+i/2000, i, i/4)
		if i%2 == 0 {
			fmt.Fprintf(&alias, "alias usb:v%04Xp%04Xd*dc*dsc*dp*ic*isc*ip*in* m%d\n", i/20, i, i/4)
		}
	}
	return fstest.MapFS{"modules.dep": text(dep.String()), "modules.alias": text(alias.String())}
}

func BenchmarkRead(b *testing.B) {
	fsys := generic()
	for b.Loop() {
		read(b, fsys)
	}
}

// BenchmarkLookup looks for the fifty devices of a machine.
func BenchmarkLookup(b *testing.B) {
	x := read(b, generic())
	for b.Loop() {
		for i := range 50 {
			x.Lookup(fmt.Sprintf("pci:v%08Xd%08Xsv00001AF4sd00001100bc01sc00i00", 0x8086+i%9, i*300))
		}
	}
}
