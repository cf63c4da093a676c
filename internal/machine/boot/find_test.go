package boot

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// fakeMachine is a system with the disk vda (vda1 an ESP, vda2 the root file
// system), changed by the lines of a test: "file PATH CONTENT", "link PATH
// TARGET", "remove PATH". Mounting a device opens the directory of that name.
func fakeMachine(t *testing.T, changes ...string) machine {
	t.Helper()
	dir := t.TempDir()
	lines := append([]string{
		"link sys/class/block/vda ../../devices/vda",
		"link sys/class/block/vda1 ../../devices/vda/vda1",
		"link sys/class/block/vda2 ../../devices/vda/vda2",
		"link sys/dev/block/254:2 ../../devices/vda/vda2",
		"file sys/devices/vda/vda1/partition 1", "file sys/devices/vda/vda1/dev 254:1",
		"file sys/devices/vda/vda2/partition 2", "file sys/devices/vda/vda2/dev 254:2",
		"file run/udev/data/b254:1 E:ID_FS_TYPE=vfat|E:ID_PART_ENTRY_TYPE=" + typeESP,
		"file run/udev/data/b254:2 E:ID_FS_TYPE=ext4",
		"file sysroot/state/deploy/" + string(id("a")) + "/x ", "file dev/vda1 ", "file dev/vda2 ", "link dev/disk/by-partuuid/abcd ../../vda1",
		"file proc/self/mountinfo 20 1 254:2 / /sysroot ro - ext4 /dev/vda2 rw",
	}, changes...)
	for _, line := range lines {
		fields := strings.SplitN(line, " ", 3)
		path := filepath.Join(dir, fields[1])
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch fields[0] {
		case "file":
			err = errors.Join(err, os.WriteFile(path, []byte(strings.ReplaceAll(fields[2], "|", "\n")+"\n"), 0o644))
		case "link":
			err = errors.Join(err, os.Symlink(fields[2], path))
		case "remove":
			err = errors.Join(err, os.RemoveAll(path))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return machine{root: root, mount: func(device, fstype string) (*os.File, error) {
		if fstype != "vfat" && fstype != "ext4" {
			return nil, errors.New("no such file system")
		}
		return os.Open(t.TempDir())
	}}
}

// xbootldr has the lines for fakeMachine of an extended boot loader partition with ext4, vda3.
const xbootldr = "link sys/class/block/vda3 ../../devices/vda/vda3;file sys/devices/vda/vda3/partition 3;" +
	"file sys/devices/vda/vda3/dev 254:3;file run/udev/data/b254:3 E:ID_FS_TYPE=ext4|E:ID_PART_ENTRY_TYPE=" + typeXBOOTLDR

// variable returns the content of an efivarfs file.
func variable(text string) []byte {
	data := []byte{6, 0, 0, 0}
	for _, u := range utf16.Encode([]rune(text + "\x00")) {
		data = binary.LittleEndian.AppendUint16(data, u)
	}
	return data
}

func TestFind(t *testing.T) {
	const mapped = "link sys/dev/block/253:0 ../../devices/dm-0;link sys/class/block/dm-0 ../../devices/dm-0;" +
		"link sys/devices/dm-0/slaves/vda2 ../../vda/vda2;file proc/self/mountinfo 20 1 253:0 / /sysroot ro - ext4 /dev/mapper/root rw"
	const otherESP = "link sys/class/block/vdb ../../devices/vdb;link sys/class/block/vdb1 ../../devices/vdb/vdb1;" +
		"file sys/devices/vdb/vdb1/partition 1;file sys/devices/vdb/vdb1/dev 254:17;file dev/vdb1 ;link dev/disk/by-partuuid/12ab ../../vdb1"
	const noTypes = "remove run/udev"
	tests := []struct {
		name, changes, loader, want string
	}{
		{"by the disk of the sysroot", "", "", "/dev/vda1"},
		{"XBOOTLDR wins", xbootldr, "", "/dev/vda3"},
		{"by the loader", noTypes, "ABCD", "/dev/vda1"},
		{"XBOOTLDR next to the loader's", xbootldr, "ABCD", "/dev/vda3"},
		{"the loader's is on another disk", otherESP, "12AB", "/dev/vdb1"},
		{"the loader's is gone", "", "9999", "/dev/vda1"},
		{"below the device mapper", mapped, "", "/dev/vda1"},
		{"btrfs", "file proc/self/mountinfo 20 1 0:30 /root /sysroot ro - btrfs /dev/vda2 rw", "", "/dev/vda1"},
		{"mounted", noTypes + ";file boot/x ;file proc/self/mountinfo 20 1 254:2 / /sysroot ro - ext4 /dev/vda2 rw|21 1 254:1 / /boot rw - vfat /dev/vda1 rw", "", "/boot"},
		{"mounted twice, the last is not FAT", noTypes + ";file efi/x ;file proc/self/mountinfo 20 1 254:2 / /sysroot ro - ext4 /dev/vda2 rw|21 1 254:1 / /efi rw - vfat /dev/vda1 rw|22 21 0:9 / /efi rw - autofs x rw", "", ""},
		{"no disk at all", "file proc/self/mountinfo 20 1 0:30 / / rw - overlay overlay rw", "", ""},
		{"network root", "file proc/self/mountinfo 20 1 0:30 / /sysroot rw - nfs server:/ rw", "", ""},
		{"unknown file system", "file run/udev/data/b254:1 E:ID_FS_TYPE=bogus|E:ID_PART_ENTRY_TYPE=" + typeESP, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var changes []string
			if test.changes != "" {
				changes = strings.Split(test.changes, ";")
			}
			m := fakeMachine(t, changes...)
			if test.loader != "" {
				put(t, m.root.Name(), map[string]string{bootcount.VariableFile("LoaderDevicePartUUID"): string(variable(test.loader))})
			}
			p, err := m.find("/sysroot", typeXBOOTLDR, typeESP)
			if test.want == "" {
				if !errors.Is(err, ErrNoPartition) {
					t.Errorf("find = %v, %v; want ErrNoPartition", p, err)
				}
				return
			}
			if err != nil || p.String() != test.want {
				t.Fatalf("find = %v, %v; want %s", p, err, test.want)
			}
			if _, err := p.Entries(); err != nil {
				t.Error(err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Where boots are counted, and whether there is a partition for it, is for the
// loader to say.
func TestLoaderFeatures(t *testing.T) {
	const all = featureBootCounting | featureXBOOTLDR
	features := func(f uint64) string { return string(binary.LittleEndian.AppendUint64([]byte{6, 0, 0, 0}, f)) }
	tests := []struct {
		name, variable, partition string
		counts                    bool
	}{
		{"systemd-boot", features(all | 1), "/dev/vda3", true},
		{"no XBOOTLDR", features(featureBootCounting), "/dev/vda1", true},
		{"no counting", features(featureXBOOTLDR), "/dev/vda3", false},
		{"no loader that says", "", "/dev/vda3", false},
		{"odd", "\x06\x00\x00\x00\xff", "/dev/vda3", false},
	}
	for _, tt := range tests {
		m := fakeMachine(t, strings.Split(xbootldr, ";")...)
		if tt.variable != "" {
			put(t, m.root.Name(), map[string]string{bootcount.VariableFile("LoaderFeatures"): tt.variable})
		}
		p, err := m.findBoot("/sysroot")
		if err != nil {
			t.Fatal(err)
		}
		if p.String() != tt.partition || p.Counts() != tt.counts {
			t.Errorf("%s: %s, counts %v; want %s, %v", tt.name, p, p.Counts(), tt.partition, tt.counts)
		}
		files := []EntryFile{{Target: deployment.Target{ID: id("a")}, Name: bootentry.Name{Base: "a"}}}
		if tries := p.triesFor(files, id("b")); (tries > 0) != tt.counts {
			t.Errorf("%s: %d tries", tt.name, tries)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if p := open(t, t.TempDir(), nil); !p.Counts() {
		t.Error("a machine that does not run is taken for one without counting")
	}
}

// Where the entries are on the EFI system partition, as bootc has them, an extended
// boot loader partition is not taken for the boot partition.
func TestFindEntries(t *testing.T) {
	entry := map[string]string{"loader/entries/a.conf": "title A\nlinux /l\ninitrd /i\noptions composefs=" + string(id("a")) + "\n"}
	for _, tt := range []struct {
		name        string
		on          map[string]map[string]string
		want        string
		deployments int
	}{
		{"nowhere", nil, "/dev/vda3", 0},
		{"on the ESP", map[string]map[string]string{"vda1": entry}, "/dev/vda1", 1},
		{"on both", map[string]map[string]string{"vda1": entry, "vda3": entry}, "/dev/vda3", 1},
	} {
		m := fakeMachine(t, strings.Split(xbootldr, ";")...)
		m.mount = func(device, _ string) (*os.File, error) {
			dir := t.TempDir()
			put(t, dir, tt.on[filepath.Base(device)])
			return os.Open(dir)
		}
		p, err := m.findBoot("/sysroot")
		if err != nil {
			t.Fatal(err)
		}
		files, err := p.Entries()
		if p.String() != tt.want || len(files) != tt.deployments || err != nil {
			t.Errorf("%s: %s with %d entries, %v; want %s with %d", tt.name, p, len(files), err, tt.want, tt.deployments)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The loader reads its settings on the EFI system partition, also where it has the entries from
// another one.
func TestFindSettings(t *testing.T) {
	on := map[string]map[string]string{
		"vda1": {"loader/loader.conf": "default esp.conf\n"},
		"vda3": {"loader/loader.conf": "default xbootldr.conf\n"},
	}
	for _, readable := range []bool{true, false} {
		m := fakeMachine(t, strings.Split(xbootldr, ";")...)
		m.mount = func(device, _ string) (*os.File, error) {
			if device == "/dev/vda1" && !readable {
				return nil, syscall.EIO
			}
			dir := t.TempDir()
			put(t, dir, on[filepath.Base(device)])
			return os.Open(dir)
		}
		p, err := m.findBoot("/sysroot")
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Settings(m.root.FS())
		switch {
		case p.String() != "/dev/vda3":
			t.Errorf("the boot partition is %s; want /dev/vda3", p)
		case readable && (err != nil || len(got.settings) != 1 || got.settings[0].pattern != "esp.conf"):
			t.Errorf("settings are %+v, %v; want the default esp.conf", got, err)
		case !readable && (!errors.Is(err, syscall.EIO) || len(got.settings) != 0):
			t.Errorf("settings are %+v, %v; want %v", got, err, syscall.EIO)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// FindIn finds the boot partition of a machine that does not run.
func TestFindIn(t *testing.T) {
	const entry = "title A\nlinux /l\ninitrd /i\noptions composefs="
	for _, tt := range []struct {
		files map[string]string
		want  string // "" if there is none
	}{
		{map[string]string{"etc/x": ""}, ""},
		{map[string]string{"efi/EFI/x": ""}, ""},
		{map[string]string{"boot/x": "", "efi/EFI/x": ""}, "boot"},
		{map[string]string{"boot/x": "", "efi/loader/entries/a.conf": entry + string(id("a"))}, "efi"},
		{map[string]string{"boot/efi/loader/entries/a.conf": entry + string(id("a"))}, "boot/efi"},
		{map[string]string{"boot/loader/entries/a.conf": entry + string(id("a")), "efi/loader/entries/a.conf": entry + string(id("b"))}, "boot"},
		{map[string]string{"boot/loader/entries/a.conf": entry + string(id("c")), "efi/loader/entries/a.conf": entry + string(id("b"))}, "efi"},
	} {
		dir := t.TempDir()
		put(t, dir, tt.files)
		put(t, dir, map[string]string{string(id("a").OriginFile()): "", "composefs/images/" + string(id("b")): ""})
		_ = os.Symlink("/boot", filepath.Join(dir, "efi")) // where there is none
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		p, err := FindIn(nil, root)
		if tt.want == "" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v: %v, %v; want fs.ErrNotExist", tt.files, p, err)
			}
		} else if err != nil || p.String() != filepath.Join(dir, tt.want) {
			t.Errorf("%v: %v, %v; want %s", tt.files, p, err, tt.want)
		}
		if p != nil {
			err = p.Close()
		}
		if err := errors.Join(err, root.Close()); err != nil && tt.want != "" {
			t.Error(err)
		}
	}
}

// Who may not mount learns why.
func TestFindNotPermitted(t *testing.T) {
	m := fakeMachine(t)
	m.mount = func(string, string) (*os.File, error) { return nil, fs.ErrPermission }
	if _, err := m.find("/sysroot", typeESP); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "/dev/vda1") {
		t.Errorf("find: %v; want an error about permission that names /dev/vda1", err)
	}
}
