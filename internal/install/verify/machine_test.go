package verify

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
)

// How the root is found has to fit the disk that was read.
func TestFind(t *testing.T) {
	const root, linux = "type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "type=0fc63daf-8483-4772-8e79-3d69d8477de4"
	one := disk(t, linux, root+", name=system, uuid=0e000000-0000-0000-0000-00000000000e")
	two := disk(t, root, root+", uuid=0e000000-0000-0000-0000-00000000000e")
	hidden := disk(t, linux, root+`, attrs="GUID:63"`)
	generic := disk(t, linux, linux)
	for _, tt := range []struct {
		parts   *parts
		options string
		want    string // the number, and how; the beginning of an error begins with !
	}{
		{one, "rw composefs=x", "2 found by the type of its partition"},
		{two, "rw composefs=x", "!there is no root= in the boot entry, and 2 partitions with the type of a root"},
		{generic, "rw composefs=x", "!there is no root= in the boot entry, and 0 partitions with the type of a root"},
		{hidden, "rw composefs=x", "!there is no root= in the boot entry, and the partition with the type of a root has the attribute no-auto (bit 63): it is not found by its type"},
		{hidden, "rw root=UUID=0f", "2 found by root=UUID=0f"},
		{two, "rw root=UUID=0F", "2 found by root=UUID=0F"},
		{generic, "rw root=UUID=0f", "2 found by root=UUID=0f"},
		{generic, "rw root=/dev/disk/by-uuid/0f", "2 found by root=/dev/disk/by-uuid/0f"},
		{generic, "rw root=LABEL=files", "2 found by root=LABEL=files"},
		{generic, "rw root=LABEL=Files", "!the boot entry has root=LABEL=Files, and nothing on this disk is that"},
		{one, "rw root=PARTLABEL=system", "2 found by root=PARTLABEL=system"},
		{one, "root=PARTUUID=0e000000-0000-0000-0000-00000000000E rw", "2 found by root=PARTUUID=0e000000-0000-0000-0000-00000000000E"},
		{one, "root=UUID=aa rw", "!the boot entry has root=UUID=aa, and nothing on this disk is that"},
		{one, "root=UUID= rw", "!the boot entry has root=UUID=, and nothing on this disk is that"},
		{one, "root=UUID=aa root=/dev/sda2", "2 found by root=/dev/sda2"},
		{one, "root=/dev/nvme0n1p1", "1 found by root=/dev/nvme0n1p1"},
		{one, "root=/dev/sda7", "!the boot entry has root=/dev/sda7, and nothing on this disk is that"},
		{one, "root=/dev/mapper/system-root2", "!the boot entry has root=/dev/mapper/system-root2, and nothing on this disk is that"},
	} {
		number, how, err := tt.parts.find(tt.options)
		got := fmt.Sprint(number, " ", how)
		if err != nil {
			got = "!" + err.Error()
		}
		if got != tt.want {
			t.Errorf("find(%q) = %q; want %q", tt.options, got, tt.want)
		}
	}
}

// disk returns the partitions of a disk, of which the second has a file system.
func disk(t *testing.T, lines ...string) *parts {
	t.Helper()
	const size = 8 << 20
	name := filepath.Join(t.TempDir(), "disk")
	err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, size))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "--quiet", name)
	cmd.Stdin = strings.NewReader("label: gpt\nsize=1M, " + strings.Join(lines, "\nsize=1M, ") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := partition.Read(f, 512, size)
	if err != nil {
		t.Fatal(err)
	}
	p := (&Report{}).partitions(table)
	p.contents = map[int]superblock.Content{2: {Type: "ext4", UUID: "0f", Label: "files"}}
	return &p
}

// What was refused is neither a fault nor none.
func TestUnknown(t *testing.T) {
	var r Report
	r.add("root partition", "", fmt.Errorf("cannot mount it: %w", syscall.EPERM))
	r.warn("origin", errors.New("missing"))
	if r.Problems() != 0 || r.Unknowns() != 1 {
		t.Errorf("%d problems, %d unknown; want 0 and 1", r.Problems(), r.Unknowns())
	}
}

func TestReadable(t *testing.T) {
	err := readable(fmt.Errorf("open: %w", syscall.EOPNOTSUPP))
	if !strings.Contains(err.Error(), "this kernel has no fs-verity") {
		t.Errorf("readable = %v", err)
	}
	if err := readable(syscall.EIO); err != syscall.EIO {
		t.Errorf("readable = %v; want the same", err)
	}
}
