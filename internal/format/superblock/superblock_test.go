package superblock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

const testUUID = "01234567-89ab-cdef-0123-456789abcdef"

// read makes a device with what a program writes, and reads it.
func read(t *testing.T, size int64, program ...string) Content {
	t.Helper()
	if _, err := exec.LookPath(program[0]); err != nil {
		t.Skipf("there is no %s", program[0])
	}
	name := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, size)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program[0], append(slices.Clone(program[1:]), name)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", program, err, out)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := Read(f, size)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPrograms reads what the programs write that make file systems.
func TestPrograms(t *testing.T) {
	for _, tt := range []struct {
		want    Content
		program []string
	}{
		{Content{Type: "ext4", UUID: testUUID, Label: "root"}, []string{"mkfs.ext4", "-q", "-L", "root", "-U", testUUID}},
		{Content{Type: "ext4", UUID: testUUID, Label: "sixteen letters!"}, []string{"mkfs.ext2", "-q", "-L", "sixteen letters!", "-U", testUUID}},
		{Content{Type: "btrfs", UUID: testUUID, Label: "a b", Members: 1, Member: 1}, []string{"mkfs.btrfs", "-q", "-L", "a b", "-U", testUUID}},
		{Content{Type: "xfs", UUID: testUUID, Label: "root"}, []string{"mkfs.xfs", "-q", "-L", "root", "-m", "uuid=" + testUUID}},
		{Content{Type: "f2fs", UUID: testUUID, Label: "root"}, []string{"mkfs.f2fs", "-q", "-l", "root", "-U", testUUID}},
	} {
		t.Run(tt.want.Type, func(t *testing.T) {
			if got := read(t, 400<<20, tt.program...); got != tt.want {
				t.Errorf("Read of what %v made = %+v; want %+v", tt.program, got, tt.want)
			}
		})
	}
}

// device is one of 2 MiB with magic numbers in it.
func device(parts ...any) []byte {
	data := make([]byte, 2<<20)
	for ; len(parts) > 1; parts = parts[2:] {
		copy(data[parts[0].(int):], parts[1].(string))
	}
	return data
}

func TestContainers(t *testing.T) {
	ext4 := "\x53\xef"
	uberblock := string(binary.BigEndian.AppendUint64(nil, zfsMagic))
	for name, tt := range map[string]struct {
		device []byte
		want   Content
	}{
		"nothing":                   {device(), Content{}},
		"LUKS":                      {device(0, "LUKS\xba\xbe", 168, "ABC-1"), Content{Type: LUKS, UUID: "abc-1", Container: true}},
		"LVM":                       {device(512, "LABELONE"), Content{Type: lvm, Container: true}},
		"RAID 1.2":                  {device(4096, raidMagic), Content{Type: raid, Container: true}},
		"RAID 1.0 with ext4":        {device(0x438, ext4, 2<<20-16*512, raidMagic), Content{Type: raid, Container: true}},
		"RAID 0.90 with ext4":       {device(0x438, ext4, 2<<20-0x10000, raidMagic), Content{Type: raid, Container: true}},
		"bcache":                    {device(4096+24, signatures[len(signatures)-1].magic), Content{Type: bcache, Container: true}},
		"ZFS":                       {device(zfsFrom+4096, uberblock), Content{Type: zfsPool, Container: true}},
		"BitLocker":                 {device(3, "-FVE-FS-"), Content{Type: bitLock, Container: true}},
		"ext4 without UUID":         {device(0x438, ext4), Content{Type: "ext4"}},
		"a device with few sectors": {device()[:100], Content{}},
	} {
		if got, err := Read(bytes.NewReader(tt.device), int64(len(tt.device))); got != tt.want || err != nil {
			t.Errorf("%s: Read = %+v, %v; want %+v", name, got, err, tt.want)
		}
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, os.ErrPermission }

func TestUnreadable(t *testing.T) {
	if _, err := Read(broken{}, 1<<20); !errors.Is(err, os.ErrPermission) {
		t.Errorf("Read = %v; want %v", err, os.ErrPermission)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range fileSystems {
		data := make([]byte, headSize)
		copy(data[s.uuid:], "0123456789abcdef")
		copy(data[s.at:], s.magic)
		f.Add(data)
	}
	for _, s := range signatures {
		f.Add(append(make([]byte, s.at), s.magic...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if c.Type == "" && c != (Content{}) || !c.Container && c.UUID != "" && len(c.UUID) != 36 {
			t.Errorf("Read = %+v", c)
		}
	})
}
