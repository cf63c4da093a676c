package device

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
)

// tree is a running system with a disk sdz that has two partitions, as the kernel shows it.
// Real ones are in the scripts of the command; no test can make swap space or RAID on a
// machine that is not its own.
func tree(t *testing.T, files map[string]string) *os.Root {
	t.Helper()
	all := map[string]string{
		"proc/self/mountinfo":    "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
		"proc/swaps":             "Filename Type Size Used Priority\n",
		"sys/class/block/sdz/ro": "0", "sys/class/block/sdz/dev": "65:144",
		"sys/class/block/sdz/sdz1/partition": "1", "sys/class/block/sdz/sdz2/partition": "2",
		"sys/class/block/sdz1/dev": "65:145", "sys/class/block/sdz2/dev": "65:146",
	}
	for name, text := range files {
		all[name] = text
	}
	dir := t.TempDir()
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// What keeps a disk from being overwritten is named.
func TestInUse(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"mounted":   {map[string]string{"proc/self/mountinfo": "1 0 65:146 / /srv rw - xfs /dev/sdz2 rw"}, "sdz2 is mounted at /srv"},
		"btrfs":     {map[string]string{"proc/self/mountinfo": "1 0 0:40 / /srv rw - btrfs /dev/sdz2 rw"}, "sdz2 is mounted at /srv"},
		"swap":      {map[string]string{"proc/swaps": "Filename Type\n/dev/sdz1 partition 1 0 -2"}, "sdz1 is swap space"},
		"RAID":      {map[string]string{"sys/class/block/sdz1/holders/md0/dev": "9:0"}, "sdz1 is a part of md0"},
		"LUKS":      {map[string]string{"sys/class/block/sdz/holders/dm-3/dev": "253:3", "sys/class/block/dm-3/dm/name": "luks-x"}, "sdz is a part of /dev/mapper/luks-x"},
		"loop":      {map[string]string{"sys/class/block/loop7/loop/backing_file": "/nowhere/sdz"}, "/dev/loop7 is a loop device of it"},
		"partition": {map[string]string{"sys/class/block/sdz/partition": "1"}, "is a partition: name the whole disk"},
	} {
		d := &Disk{Path: "/nowhere/sdz", name: "sdz", host: tree(t, tt.files)}
		if err := d.check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want an error with %q", name, err, tt.want)
		}
	}
	d := &Disk{Path: "/nowhere/sdz", name: "sdz", host: tree(t, nil)}
	if err := d.check(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v; want that there is no such device", err)
	}
}

// A kernel that has not read the new table is no reason to write to the old partitions.
func TestOldTable(t *testing.T) {
	host := tree(t, map[string]string{"sys/class/block/sdz/sdz1/start": "4096", "sys/class/block/sdz1/start": "4096", "sys/class/block/sdz1/size": "8"})
	d := &Disk{Path: "/dev/sdz", name: "sdz", host: host, Size: 1 << 30}
	_, err := d.Part(t.Context(), 1, partition.Partition{Start: 1 << 20, Size: 4096}, true)
	if err == nil || !strings.Contains(err.Error(), "the kernel still has the old partition table") {
		t.Errorf("Part = %v", err)
	}
	for _, p := range []partition.Partition{{Start: -1, Size: 4096}, {Start: 0, Size: 1}, {Start: 1 << 29, Size: 1<<29 + 1}} {
		if _, err := d.Part(t.Context(), 1, p, true); err == nil || !strings.Contains(err.Error(), "is not on the disk") {
			t.Errorf("Part(%+v) = %v; want an error", p, err)
		}
	}
}

// Disks are only empty if nothing is on them, whatever it is.
func TestContent(t *testing.T) {
	if _, err := exec.LookPath("wipefs"); err != nil {
		t.Skip("there is no wipefs")
	}
	for name, tt := range map[string]struct {
		write string
		at    int64
		want  string
	}{
		"zeros": {"", 0, ""},
		"ones":  {strings.Repeat("\xff", 1<<20), 0, ""},
		"data":  {"x", 700_000, "data that is not recognised"},
		"end":   {strings.Repeat("x", 8192), 2<<20 - 8192, "data that is not recognised"},
		"lost":  {"\x53\xef", 1<<20 + 0x438, "ext4 at byte 1048576, which is in no partition"},
		"DOS":   {"XFSB", 63 * 512, "xfs at byte 32256, which is in no partition"},
		"LUKS":  {"LUKS\xba\xbe\x00\x01", 0, "crypto_LUKS"},
	} {
		file := filepath.Join(t.TempDir(), "disk")
		data := make([]byte, 2<<20)
		if name == "ones" {
			data = []byte(strings.Repeat("\xff", 2<<20))
		}
		copy(data[tt.at:], tt.write)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(nil, file)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		c, err := d.Content(t.Context())
		if got := strings.Join(c.Things, "; "); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tt.want)
		}
	}
}
