package partdev

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	first  = "01234567-89ab-4cde-8f01-23456789abcd"
	second = "11234567-89ab-4cde-8f01-23456789abcd"
	absent = "21234567-89ab-4cde-8f01-23456789abcd"
)

// newSystem has a disk with two partitions. A new kernel tells their UUIDs.
func newSystem(t *testing.T, newKernel bool) System {
	t.Helper()
	dir := t.TempDir()
	s := System{Sys: filepath.Join(dir, "sys"), Dev: filepath.Join(dir, "dev")}
	write(t, filepath.Join(s.Dev, "c0/d0"), "")
	if err := os.Truncate(filepath.Join(s.Dev, "c0/d0"), 8<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "--quiet", filepath.Join(s.Dev, "c0/d0"))
	cmd.Stdin = strings.NewReader("label: gpt\nsize=1M, uuid=" + first + "\nsize=1M, uuid=" + second + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	disk := filepath.Join(s.Sys, "devices/c0!d0")
	write(t, disk+"/queue/logical_block_size", "512\n")
	for n, uuid := range map[string]string{"1": first, "2": second} {
		part := disk + "/c0!d0p" + n
		write(t, part+"/partition", n+"\n")
		text := "DEVNAME=c0/d0p" + n + "\n"
		if newKernel {
			text += "PARTUUID=" + uuid + "\n"
		}
		write(t, part+"/uevent", text)
		link(t, part, filepath.Join(s.Sys, "class/block/c0!d0p"+n))
	}
	link(t, disk, filepath.Join(s.Sys, "class/block/c0!d0"))
	return s
}

func write(t *testing.T, name, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err = errors.Join(err, os.WriteFile(name, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, name string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err = errors.Join(err, os.Symlink(to, name)); err != nil {
		t.Fatal(err)
	}
}

func TestFind(t *testing.T) {
	for _, newKernel := range []bool{false, true} {
		s := newSystem(t, newKernel)
		for uuid, name := range map[string]string{first: "c0/d0p1", second: "c0/d0p2"} {
			if got, err := s.Find(uuid, ""); err != nil || got != filepath.Join(s.Dev, name) {
				t.Errorf("Find(%s) = %s, %v; want %s", uuid, got, err, name)
			}
		}
		if got, err := s.Find(absent, ""); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Find = %s, %v; want that there is none", got, err)
		}
	}
}

// A copy of the disk is there.
func TestFindTwo(t *testing.T) {
	s := newSystem(t, true)
	link(t, filepath.Join(s.Sys, "devices/c0!d0/c0!d0p1"), filepath.Join(s.Sys, "class/block/copy"))
	if got, err := s.Find(first, ""); err == nil || !strings.Contains(err.Error(), "2 partitions have PARTUUID="+first) {
		t.Errorf("Find = %s, %v; want an error about two", got, err)
	}
}

// TestFindBesideRoot has a disk and its copy, and a root on either, below a device of the device
// mapper, on several disks, or on one without partitions.
func TestFindBesideRoot(t *testing.T) {
	s := newSystem(t, true)
	devices := filepath.Join(s.Sys, "devices")
	write(t, devices+"/vdb/vdb1/partition", "1\n")
	write(t, devices+"/vdb/vdb1/uevent", "DEVNAME=vdb1\nPARTUUID="+first+"\n")
	link(t, devices+"/vdb/vdb1", filepath.Join(s.Sys, "class/block/vdb1"))
	write(t, devices+"/vdb/vdb2/partition", "2\n")
	link(t, devices+"/vdb/vdb2", devices+"/dm-0/slaves/vdb2")
	write(t, devices+"/loop0/size", "1\n")
	write(t, devices+"/vdc/size", "1\n")
	for _, dir := range []string{"vdb/vdb2", "vdc"} { // a btrfs
		link(t, filepath.Join(devices, dir), filepath.Join(s.Sys, "fs/btrfs/0123/devices", filepath.Base(dir)))
	}
	for number, dir := range map[string]string{"259:2": "c0!d0/c0!d0p2", "253:2": "vdb/vdb2", "252:0": "dm-0", "254:32": "vdc", "7:0": "loop0"} {
		link(t, filepath.Join(devices, dir), filepath.Join(s.Sys, "dev/block", number))
	}
	for root, name := range map[string]string{"259:2": "c0/d0p1", "253:2": "vdb1", "252:0": "vdb1", "254:32": "vdb1"} {
		if got, err := s.Find(first, root); err != nil || got != filepath.Join(s.Dev, name) {
			t.Errorf("Find beside %s = %s, %v; want %s", root, got, err, name)
		}
	}
	got, err := s.Find(first, "7:0")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "on the disk of the root, loop0: ") {
		t.Errorf("Find beside a loop device = %s, %v; want that there is none", got, err)
	}
	if got, err := s.Find(first, "1:1"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Find beside an unknown device = %s, %v; want another error than that there is none", got, err)
	}
}

func TestWait(t *testing.T) {
	s := newSystem(t, false)
	later := filepath.Join(s.Sys, "class/block/c0!d0p2")
	hidden := filepath.Join(s.Sys, "hidden")
	if err := os.Rename(later, hidden); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Wait(second, "", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Wait = %v; want that there is none", err)
	}
	go func() {
		time.Sleep(2 * pause)
		os.Rename(hidden, later)
	}()
	if _, err := s.Wait(second, "", time.Hour); err != nil {
		t.Errorf("Wait = %v", err)
	}
}
