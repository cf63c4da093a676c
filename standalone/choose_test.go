package standalone

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/discoverable"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
)

// part returns a partition of the disk that its name begins with.
func part(name, fstype, uuid string) device {
	d := device{name: name, disk: strings.TrimRight(name, "0123456789")}
	d.content = superblock.Content{Type: fstype, UUID: uuid, Label: "label-" + uuid}
	d.partition = partition.Partition{UUID: "part-" + name, Label: "name-" + name}
	return d
}

// root returns a partition with the type of a root.
func root(name, fstype, uuid string) device {
	d := part(name, fstype, uuid)
	d.partition.Type = discoverable.RootType(runtime.GOARCH)
	return d
}

// with returns d, changed.
func with(d device, change func(*device)) device {
	change(&d)
	return d
}

func member(name, uuid string, n, of uint64) device {
	return with(part(name, superblock.Btrfs, uuid), func(d *device) { d.content.Member, d.content.Members = n, of })
}

func TestChoose(t *testing.T) {
	esp, ext4 := part("vda1", "", ""), root("vda2", "ext4", "1")
	other := root("vdb2", "ext4", "2")
	container := func(d *device) { d.content.Container = true }
	noAuto := func(d *device) { d.partition.Attributes = discoverable.NoAuto }
	tests := []struct {
		name string
		root string
		esp  string
		all  []device
		want string // the device, or what an error has
	}{
		{"none so far", "UUID=1", "", nil, "not found"},
		{"by name", "/dev/vda2", "", []device{esp, ext4}, "vda2"},
		{"by UUID", "UUID=1", "", []device{esp, ext4, other}, "vda2"},
		{"by label", "LABEL=label-2", "", []device{ext4, other}, "vdb2"},
		{"by PARTUUID", "PARTUUID=PART-VDB2", "", []device{ext4, other}, "vdb2"},
		{"by PARTLABEL", "PARTLABEL=name-vda2", "", []device{ext4, other}, "vda2"},
		{"same UUID twice", "UUID=1", "", []device{ext4, part("vdb1", "ext4", "1")}, "cannot choose the root: /dev/vda2 and /dev/vdb1 have UUID=1; set root=PARTUUID="},
		{"three of a label", "LABEL=label-1", "", []device{ext4, part("vdb1", "xfs", "1"), part("c", "f2fs", "1")}, "/dev/vda2, /dev/vdb1 and /dev/c have LABEL=label-1"},
		{"no file system", "/dev/vda1", "", []device{esp, ext4}, "cannot detect the file system on /dev/vda1"},
		{"encrypted", "UUID=1", "", []device{with(part("vda2", "LUKS encryption", "1"), container)}, "/dev/vda2, which has UUID=1, holds LUKS encryption, which a standalone initramfs does not support: use one built by dracut, mkinitcpio or initramfs-tools"},
		{"unreadable", "/dev/vda2", "", []device{with(ext4, func(d *device) { d.err = io.ErrUnexpectedEOF })}, "cannot read the root /dev/vda2: unexpected EOF"},

		{"by type", "", "", []device{esp, ext4}, "vda2"},
		{"two of the type", "", "", []device{esp, ext4, other}, "cannot choose the root: /dev/vda2 and /dev/vdb2 are root partitions"},
		{"two, but one disk was booted from", "", "part-vda1", []device{esp, ext4, other}, "vda2"},
		{"the disk that was booted from is not there yet", "", "part-vdc1", []device{esp, ext4}, "not found"},
		{"it has no root", "", "part-vda1", []device{esp, other}, "not found"},
		{"two on the disk that was booted from", "", "part-vda1", []device{esp, ext4, root("vda3", "xfs", "3")}, "cannot choose the root: /dev/vda2 and /dev/vda3 are root"},
		{"a copy of the disk", "", "part-vda1", []device{esp, ext4, with(part("vdb1", "", ""), func(d *device) { d.partition.UUID = "part-vda1" }), other}, "/dev/vda1 and /dev/vdb1 have PARTUUID=part-vda1"},
		{"not to be mounted", "", "", []device{esp, with(ext4, noAuto), other}, "vdb2"},
		{"encrypted, by type", "", "", []device{with(ext4, container)}, "/dev/vda2 holds ext4, which a standalone initramfs does not support"},

		{"btrfs", "UUID=1", "", []device{member("vda2", "1", 1, 1)}, "vda2"},
		{"btrfs on two", "UUID=1", "", []device{member("vda2", "1", 1, 2), member("vdb", "1", 2, 2)}, "vda2+vdb"},
		{"btrfs on two, by name", "/dev/vdb", "", []device{member("vda2", "1", 1, 2), member("vdb", "1", 2, 2), member("vdc", "2", 1, 1)}, "vdb+vda2"},
		{"btrfs on two, half of it", "UUID=1", "", []device{member("vda2", "1", 1, 2)}, "not found: only 1 of the 2 devices of the btrfs on /dev/vda2 are there"},
		{"copy of a btrfs", "UUID=1", "", []device{member("vda2", "1", 1, 1), member("vdb", "1", 1, 1)}, "/dev/vda2 and /dev/vdb have UUID=1"},
		{"copy of another device of a btrfs", "/dev/vda2", "", []device{member("vda2", "1", 1, 2), member("vdb", "1", 2, 2), member("vdc", "1", 2, 2)}, "/dev/vdb and /dev/vdc have UUID=1"},
	}
	for _, tt := range tests {
		by, value, err := rootKey(tt.root)
		if err != nil {
			t.Fatal(err)
		}
		got, err := want{by: by, value: value}.choose(tt.all, tt.esp)
		text := got.name
		for _, d := range got.others {
			text += "+" + d.name
		}
		if err != nil {
			text = err.Error()
		}
		if err == nil && text != tt.want || err != nil && !strings.Contains(text, tt.want) {
			t.Errorf("%s: %s; want %s", tt.name, text, tt.want)
		}
		if later := strings.HasPrefix(tt.want, "not found"); later != errors.Is(err, errNotYet) {
			t.Errorf("%s: %v; that it may still appear is %v", tt.name, err, later)
		}
	}
}

// TestReadOnlyPartition: see the attributes of the Discoverable Partitions Specification.
func TestReadOnlyPartition(t *testing.T) {
	d := with(root("vda2", "ext4", "1"), func(d *device) { d.partition.Attributes = discoverable.ReadOnly })
	if got, err := (want{}).choose([]device{d}, ""); err != nil || !got.readOnly {
		t.Errorf("choose = %+v, %v; want a read-only root", got, err)
	}
}
