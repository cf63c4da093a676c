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
	"testing/fstest"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/nstest"
	"github.com/sysupdate-image/sysupdate-image/internal/sys"
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
		"file dev/vda1 ", "file dev/vda2 ", "link dev/disk/by-partuuid/abcd ../../vda1",
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
	return machine{root: dir, mount: func(device, fstype string) (*os.File, error) {
		if fstype != "vfat" && fstype != "ext4" {
			return nil, errors.New("no such file system")
		}
		return os.Open(t.TempDir())
	}}
}

// variable returns the content of an efivarfs file.
func variable(text string) []byte {
	data := []byte{6, 0, 0, 0}
	for _, u := range utf16.Encode([]rune(text + "\x00")) {
		data = binary.LittleEndian.AppendUint16(data, u)
	}
	return data
}

func TestFind(t *testing.T) {
	const xbootldr = "link sys/class/block/vda3 ../../devices/vda/vda3;file sys/devices/vda/vda3/partition 3;" +
		"file sys/devices/vda/vda3/dev 254:3;file run/udev/data/b254:3 E:ID_FS_TYPE=ext4|E:ID_PART_ENTRY_TYPE=" + typeXBOOTLDR
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
				put(t, m.root, map[string]string{EFIVars + "/LoaderDevicePartUUID-" + loaderVendor: string(variable(test.loader))})
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

// A mount that is attached nowhere can be changed like any directory, and is
// gone afterwards.
func TestDetachedPartition(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		m := fakeMachine(t)
		m.mount = func(string, string) (*os.File, error) {
			return sys.Detached("tmpfs", sys.NoSuid|sys.NoDev|sys.NoExec)
		}
		p, err := m.find("/sysroot", typeESP)
		if err != nil {
			t.Fatal(err)
		}
		kernel, _, err := writeKernel(p, "kernel", "initrd")
		if err != nil {
			t.Fatal(err)
		}
		name, err := p.StageEntry(NewEntry("OS", "1", kernel, "composefs="+string(id("a"))))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Publish(name); err != nil {
			t.Fatal(err)
		}
		files, err := p.Entries()
		if err != nil || len(files) != 1 || !files[0].Good() {
			t.Errorf("Entries = %v, %v; want one good entry", files, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A tmpfs without room is a partition without room.
func TestFullPartition(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		m := fakeMachine(t)
		m.mount = func(string, string) (*os.File, error) {
			return sys.Detached("tmpfs", 0, sys.MountString("size", "1M"))
		}
		p, err := m.find("/sysroot", typeESP)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		large := strings.Repeat("x", 2<<20)
		_, _, err = writeKernel(p, large, "initrd")
		var noRoom *NoRoomError
		if !errors.As(err, &noRoom) {
			t.Errorf("WriteKernel: %v; want a NoRoomError", err)
		}
		p.space = func() (free, block int64, err error) { return 1 << 30, 4096, nil } // somebody else writes too
		if _, _, err := writeKernel(p, large, "initrd"); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("WriteKernel: %v; want ENOSPC", err)
		}
		if left := tree(t, p.root.Name()); len(left) != 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// Who may not mount learns why.
func TestFindNotPermitted(t *testing.T) {
	m := fakeMachine(t)
	m.mount = func(string, string) (*os.File, error) { return nil, fs.ErrPermission }
	if _, err := m.find("/sysroot", typeESP); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "/dev/vda1") {
		t.Errorf("find: %v; want an error about permission that names /dev/vda1", err)
	}
}

func TestLoaderVariable(t *testing.T) {
	file := EFIVars + "/LoaderEntryDefault-" + loaderVendor
	for text, data := range map[string][]byte{
		"ä-1.conf": variable("ä-1.conf"),
		"":         {6, 0, 0, 0},
	} {
		got, err := LoaderVariable(fstest.MapFS{file: {Data: data}}, "LoaderEntryDefault")
		if got != text || err != nil {
			t.Errorf("LoaderVariable = %q, %v; want %q", got, err, text)
		}
	}
	for _, data := range [][]byte{nil, {6, 0, 0}, {6, 0, 0, 0, 65}} {
		if got, err := LoaderVariable(fstest.MapFS{file: {Data: data}}, "LoaderEntryDefault"); err == nil {
			t.Errorf("LoaderVariable of %v = %q; want an error", data, got)
		}
	}
	if _, err := LoaderVariable(fstest.MapFS{}, "LoaderEntryDefault"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoaderVariable without EFI: %v; want fs.ErrNotExist", err)
	}
}
