package boot

import (
	"errors"
	"strings"
	"testing"
)

// fakeSuperblock returns the beginning of a device with a file system.
func fakeSuperblock(magic string, at, uuid int) string {
	data := make([]byte, 0x10100)
	copy(data[at:], magic)
	copy(data[uuid:], "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef")
	return string(data)
}

const testUUID = "01234567-89ab-cdef-0123-456789abcdef"

// TestUUIDAt names what is mounted as mount(8) does: the kernels of some systems are on a FAT.
func TestUUIDAt(t *testing.T) {
	fat := make([]byte, 512)
	copy(fat[66:], "\x29\x4d\x3c\x2b\x1a")
	copy(fat[510:], "\x55\xaa")
	m := fakeMachine(t, "file dev/vda1 "+string(fat), "file dev/vda2 "+fakeSuperblock("\x53\xef", 0x438, 0x468),
		"file proc/self/mountinfo 20 1 254:2 / /mnt rw - ext4 /dev/vda2 rw|21 20 254:1 / /mnt/boot rw - vfat /dev/vda1 rw")
	for dir, want := range map[string]string{"/mnt": testUUID, "/mnt/boot": "1A2B-3C4D"} {
		if got, err := m.uuidAt(dir); got != want || err != nil {
			t.Errorf("uuidAt(%s) = %q, %v; want %q", dir, got, err, want)
		}
	}
	if got, err := m.uuidAt("/mnt/home"); err == nil {
		t.Errorf("uuidAt of what is no mount point = %q", got)
	}
}

// TestFindRoot installs on what is mounted at /mnt, with the EFI system partition vda1
// at /mnt/efi.
func TestFindRoot(t *testing.T) {
	const (
		esp     = "|21 20 254:1 / /mnt/efi rw - vfat /dev/vda1 rw"
		ext4    = "file proc/self/mountinfo 20 1 254:2 / /mnt rw - ext4 /dev/vda2 rw" + esp
		ofRoot  = "file run/udev/data/b254:2 E:ID_PART_ENTRY_TYPE=4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
		ofARM   = "file run/udev/data/b254:2 E:ID_PART_ENTRY_TYPE=b921b045-1df0-41c3-af44-4c6f280d3fae"
		second  = "link sys/class/block/vda3 ../../devices/vda/vda3;file sys/devices/vda/vda3/partition 3;file sys/devices/vda/vda3/dev 254:3;"
		another = second + "file run/udev/data/b254:3 E:ID_PART_ENTRY_TYPE=4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
		disk    = "file sys/devices/vdb/dev 254:16;link sys/class/block/vdb ../../devices/vdb;link sys/dev/block/254:16 ../../devices/vdb;file dev/vdb " +
			"EXT4;file proc/self/mountinfo 20 1 254:16 / /mnt rw - ext4 /dev/vdb rw" + esp
		mapped = "link sys/dev/block/253:0 ../../devices/dm-0;link sys/class/block/dm-0 ../../devices/dm-0;file sys/devices/dm-0/dm/name root;" +
			"link sys/devices/dm-0/slaves/vda2 ../../vda/vda2;file dev/dm-0 EXT4;file proc/self/mountinfo 20 1 253:0 / /mnt rw - ext4 /dev/mapper/root rw" + esp
		lvm   = mapped + ";file sys/devices/dm-0/dm/uuid LVM-abc"
		crypt = mapped + ";file sys/devices/dm-0/dm/uuid CRYPT-LUKS2-abc"
	)
	byUUID := "root=UUID=" + testUUID
	btrfs := func(root, options string) string {
		return "file dev/vda2 BTRFS;file proc/self/mountinfo 20 1 0:30 " + root + " /mnt rw - btrfs /dev/vda2 " + options + esp
	}
	tests := []struct{ name, changes, args, doubt string }{
		{"by its type", ext4 + ";" + ofRoot, "", ""},
		{"of another type", ext4, byUUID, ""},
		{"of another architecture", ext4 + ";" + ofARM, byUUID, ""},
		{"one of two", ext4 + ";" + ofRoot + ";" + another, byUUID, ""},
		{"no EFI system partition is mounted", strings.TrimSuffix(ext4, esp) + ";" + ofRoot, byUUID, ""},
		{"a whole disk, not the loader's", disk, byUUID, ""},
		{"LVM", lvm + ";" + ofRoot, byUUID, "/dev/mapper/root consists of vda2"},
		{"LUKS", crypt + ";" + ofRoot, "", ""},
		{"LUKS in a partition of another type", crypt, byUUID, "rd.luks.uuid="},
		{"btrfs", btrfs("/", "rw,subvolid=5,subvol=/"), byUUID + " rootflags=subvol=/", ""},
		{"a subvolume", btrfs("/@/root", "rw,subvolid=256,subvol=/@/root"), byUUID + " rootflags=subvol=@/root", ""},
		{"a subvolume with a comma", btrfs(`/a,b\040c`, "rw,subvolid=257,subvol=/a"), byUUID + " rootflags=subvolid=257", ""},
		{"a directory", "file proc/self/mountinfo 20 1 254:2 / / rw - ext4 /dev/vda2 rw", "", "/mnt is not a mount point"},
		{"a directory, bound", "file proc/self/mountinfo 20 1 254:2 /dir /mnt rw - ext4 /dev/vda2 rw", "", "only the directory /dir of a file system is mounted"},
		{"in memory", "file proc/self/mountinfo 20 1 0:40 / /mnt rw - tmpfs tmpfs rw", "", "tmpfs file system without a block device"},
		{"unknown", "file dev/vda2 " + strings.Repeat("x", 0x11000) + ";" + ext4, "?", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changes := strings.NewReplacer("EXT4", fakeSuperblock("\x53\xef", 0x438, 0x468), "BTRFS", fakeSuperblock("_BHRfS_M", 0x10040, 0x10020)).Replace(tt.changes)
			m := fakeMachine(t, append([]string{"file dev/vda2 " + fakeSuperblock("\x53\xef", 0x438, 0x468)}, strings.Split(changes, ";")...)...)
			found, err := m.findRoot("/mnt", "/mnt/efi", "amd64")
			if tt.args == "?" {
				if !errors.Is(err, ErrRootUnknown) {
					t.Errorf("findRoot = %v, %v; want %v", found, err, ErrRootUnknown)
				}
				return
			}
			if got := strings.Join(found.Args, " "); err != nil || got != tt.args || !strings.Contains(found.Doubt, tt.doubt) || tt.doubt == "" && found.Doubt != "" {
				t.Errorf("findRoot = %q, doubt %q, %v; want %q, doubt %q", got, found.Doubt, err, tt.args, tt.doubt)
			}
		})
	}
}
