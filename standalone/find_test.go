package standalone

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A world is a kernel's view of some devices: a sysfs of files, and the events that are
// still to come, each with what it changes before.
type world struct {
	t      *testing.T
	dir    string
	events []func() ([]byte, error)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.write("sys/class/block/README", "")
	w.write("dev/null", "")
	if err := os.Remove(filepath.Join(w.dir, "sys/class/block/README")); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) write(name, text string) {
	w.t.Helper()
	name = filepath.Join(w.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		w.t.Fatal(err)
	}
}

// block makes a disk that holds what a program writes to it. A partition of it has the
// content of another one.
func (w *world) block(name string, number int, program ...string) {
	w.t.Helper()
	dir := "sys/devices/virtio0/block/" + name
	if number > 0 {
		dir = "sys/devices/virtio0/block/" + strings.TrimRight(name, "0123456789") + "/" + name
		w.write(dir+"/partition", fmt.Sprintln(number))
	}
	w.write(dir+"/size", "20480\n")
	w.write(dir+"/uevent", "DEVNAME="+name+"\n")
	node := filepath.Join(w.dir, "dev", name)
	w.write("dev/"+name, "")
	if err := os.Truncate(node, 10<<20); err != nil {
		w.t.Fatal(err)
	}
	if len(program) > 0 {
		if out, err := exec.Command(program[0], append(program[1:], node)...).CombinedOutput(); err != nil {
			w.t.Skipf("%v: %v\n%s", program, err, out)
		}
	}
	if err := os.Symlink("../../../"+dir, filepath.Join(w.dir, "sys/class/block", name)); err != nil {
		w.t.Fatal(err)
	}
}

// Next is that of a source: when there is nothing more to come, time is over.
func (w *world) Next(until time.Time) ([]byte, error) {
	if len(w.events) == 0 || !until.IsZero() && time.Until(until) < time.Second {
		return nil, os.ErrDeadlineExceeded // nothing has come yet
	}
	event := w.events[0]
	w.events = w.events[1:]
	return event()
}

func (w *world) then(event func() ([]byte, error)) { w.events = append(w.events, event) }

// finder returns one that notes the aliases of modules in loaded.
func (w *world) finder(root string, loaded *[]string) *finder {
	w.t.Helper()
	by, value, err := rootKey(root)
	if err != nil {
		w.t.Fatal(err)
	}
	return &finder{
		want: want{by: by, value: value, wait: time.Minute}, events: w, log: &log{},
		load:    func(aliases ...string) { *loaded = append(*loaded, aliases...) },
		devices: devices{sys: filepath.Join(w.dir, "sys"), dev: filepath.Join(w.dir, "dev"), known: make(map[string]device)},
	}
}

const ext4UUID = "01234567-89ab-cdef-0123-456789abcdef"

var mkExt4 = []string{"mkfs.ext4", "-q", "-U", ext4UUID}

// TestFindLate: the root's disk appears after its driver was loaded for an event, and
// after the kernel has lost others.
func TestFindLate(t *testing.T) {
	w := newWorld(t)
	w.write("sys/bus/pci/devices/0000:00:03.0/modalias", "pci:v1AF4\n")
	w.then(func() ([]byte, error) {
		return []byte("add@/devices/virtio0\x00SUBSYSTEM=virtio\x00MODALIAS=virtio:d2\x00"), nil
	})
	w.then(func() ([]byte, error) { return []byte("libudev\x00"), nil })
	w.then(func() ([]byte, error) { return nil, fmt.Errorf("recvfrom: %w", sys.ErrOverrun) })
	w.then(func() ([]byte, error) {
		w.block("vda", 0, mkExt4...)
		return []byte("add@/devices/virtio0/block/vda\x00SUBSYSTEM=block\x00DEVNAME=vda\x00"), nil
	})
	var loaded []string
	got, err := w.finder("UUID="+ext4UUID, &loaded).find(time.Now())
	if err != nil || got.path() != "/dev/vda" || got.content.Type != "ext4" {
		t.Errorf("find = %+v, %v; want /dev/vda with ext4", got, err)
	}
	if want := []string{"pci:v1AF4", "virtio:d2", "pci:v1AF4"}; !slices.Equal(loaded, want) {
		t.Errorf("modules were loaded for %q; want %q", loaded, want)
	}
}

// TestFindPartition reads a partition table, and reads it again when the kernel says that
// it has changed.
func TestFindPartition(t *testing.T) {
	w := newWorld(t)
	const script = `printf 'label: gpt\n%s\n' 'size=1MiB, uuid=` + ext4UUID + `, name=old' | sfdisk --quiet $0`
	w.block("vda", 0, "sh", "-c", script)
	w.block("vda1", 1, mkExt4...)
	w.then(func() ([]byte, error) {
		disk := filepath.Join(w.dir, "dev/vda")
		if out, err := exec.Command("sh", "-c", strings.ReplaceAll(script, "old", "new"), disk).CombinedOutput(); err != nil {
			t.Fatalf("sfdisk: %v\n%s", err, out)
		}
		return []byte("change@/devices/virtio0/block/vda\x00SUBSYSTEM=block\x00DEVNAME=vda\x00"), nil
	})
	var loaded []string
	got, err := w.finder("PARTLABEL=new", &loaded).find(time.Now())
	if err != nil || got.path() != "/dev/vda1" || got.disk != "vda" || got.partition.UUID != ext4UUID {
		t.Errorf("find = %+v, %v; want /dev/vda1", got, err)
	}
}

func TestFindNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		root, esp string
		disks     func(w *world)
		want      string
	}{
		"no disk": {"UUID=1", "", func(*world) {},
			"cannot find the root file system: no device has UUID=1 after 1m0s; no disks were found: a driver may be missing from the initramfs"},
		"another disk": {"/dev/sda1", "", func(w *world) { w.block("vda", 0, mkExt4...) },
			"there is no /dev/sda1 after 1m0s; found: /dev/vda (ext4)"},
		"inside of LUKS": {"UUID=1", "", func(w *world) {
			w.block("ram0", 0)
			w.block("vda", 0, "sh", "-c", `printf 'LUKS\272\276' | dd of=$0 conv=notrunc`)
		}, "found: /dev/vda (LUKS encryption); the root may be inside LUKS encryption on /dev/vda, which a standalone initramfs does not support: use one built by dracut, mkinitcpio or initramfs-tools"},
		"by type": {"", "1", func(w *world) { w.block("vda", 0) },
			"the boot disk has no root partition after 1m0s; found: /dev/vda"},
	} {
		w := newWorld(t)
		tt.disks(w)
		var loaded []string
		f := w.finder(tt.root, &loaded)
		f.esp = tt.esp
		if got, err := f.find(time.Now()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: find = %+v, %v; want an error with %q", name, got, err, tt.want)
		}
	}
}

// TestFindDegraded: a btrfs that lacks a device is mounted only if that is asked for, and
// not before time is over.
func TestFindDegraded(t *testing.T) {
	for _, degraded := range []bool{false, true} {
		w := newWorld(t)
		w.block("vdb", 0)
		second := filepath.Join(w.dir, "dev/vdb")
		for _, name := range []string{"dev/vda", "dev/vdb"} {
			w.write(name, "")
			if err := os.Truncate(filepath.Join(w.dir, name), 200<<20); err != nil {
				t.Fatal(err)
			}
		}
		first := filepath.Join(w.dir, "dev/vda")
		if out, err := exec.Command("mkfs.btrfs", "-q", "-d", "raid1", first, second).CombinedOutput(); err != nil {
			t.Skipf("mkfs.btrfs: %v\n%s", err, out)
		}
		var loaded []string
		f := w.finder("/dev/vdb", &loaded)
		if degraded {
			f.want.flags = []string{"degraded"}
		}
		got, err := f.find(time.Now())
		const want = "cannot find the root file system: only 1 of the 2 devices of the btrfs on /dev/vdb are there after 1m0s"
		if degraded && (err != nil || got.path() != "/dev/vdb") || !degraded && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("degraded %v: find = %+v, %v", degraded, got, err)
		}
	}
}
