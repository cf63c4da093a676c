package record

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/facts"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/replay"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// TestMakeDisk finds the file systems where the partition table says.
func TestMakeDisk(t *testing.T) {
	for fstype, magic := range map[string]struct {
		offset int64
		text   string
	}{
		"ext4":  {1024 + 56, "\x53\xef"},
		"btrfs": {64<<10 + 64, "_BHRfS_M"},
	} {
		file := filepath.Join(t.TempDir(), "disk")
		if err := makeDisk(t.Context(), file, fstype, DefaultCluster); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		areas, size := partitions(fstype)
		if int64(len(content)) != size {
			t.Errorf("%s: disk has %d bytes; want %d", fstype, len(content), size)
		}
		if got := string(content[areas[facts.ESP].Offset+82:][:5]); got != "FAT32" {
			t.Errorf("%s: boot partition has %q; want FAT32", fstype, got)
		}
		if got := string(content[areas[facts.Root].Offset+magic.offset:][:len(magic.text)]); got != magic.text {
			t.Errorf("%s: root partition has %q; want %q", fstype, got, magic.text)
		}
		table, err := run(t.Context(), "sfdisk", "--dump", file)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"C12A7328", "4F68BCE3", "0FC63DAF"} {
			if !strings.Contains(string(table), kind) {
				t.Errorf("%s: partition table has no %s:\n%s", fstype, kind, table)
			}
		}
	}
}

// TestRebuild writes a file to a FAT and to an ext4, takes what changed for a log,
// and rebuilds the file systems from it.
func TestRebuild(t *testing.T) {
	file := filepath.Join(t.TempDir(), "disk")
	// mcopy(1) reads no FAT32 of so few clusters as larger ones would be.
	if err := makeDisk(t.Context(), file, "ext4", 1); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("content ", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	areas, size := partitions("ext4")
	root := filepath.Join(t.TempDir(), "root")
	if err := os.WriteFile(root, before[areas[facts.Root].Offset:][:areas[facts.Root].Size], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"mcopy", "-i", file + "@@1M", text, "::/a long name that takes entries"},
		{"debugfs", "-w", "-R", "write " + text + " file", root},
	} {
		if _, err := run(t.Context(), args[0], args[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyInto(file, root, areas[facts.Root].Offset); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	log := differences(before, after)
	if err := replay.Check(log, size); err != nil || len(log) < 20 {
		t.Fatalf("%d changes, %v", len(log), err)
	}
	// The last cut is all of it; each other is one change less at least.
	cuts := replay.Enumerate(log, slices.Clone(before), areas[:facts.Marks], func(int) int { return 0 }, replay.Options{Seed: 1, Want: len(log) + 1})
	rebuilt := replay.NewDisk(slices.Clone(before), areas[:facts.Marks])
	var all []replay.Piece
	for i := range log {
		all = append(all, replay.Piece{Entry: i, From: 0, To: 1})
	}
	full := rebuilt.With(log, all)
	if got := replay.NewDisk(before, areas[:facts.Marks]).With(differences(before, after), all); !slices.Equal(got, full) {
		t.Errorf("states %x and %x of one content", got, full)
	}
	if !slices.ContainsFunc(cuts, func(c replay.Cut) bool { return slices.Equal(c.States, full) }) {
		t.Error("no cut has all that was written")
	}
}

// differences returns the sectors that changed, as a log of writes.
func differences(before, after []byte) (log []writelog.Entry) {
	for at := 0; at < len(before); at += replay.SectorSize {
		if now := after[at : at+replay.SectorSize]; !bytes.Equal(before[at:at+replay.SectorSize], now) {
			log = append(log, writelog.Entry{Offset: int64(at), Length: replay.SectorSize, Data: now})
		}
	}
	return log
}

func TestDeps(t *testing.T) {
	d := deps{"kernel/fs/a-b.ko.xz": {"kernel/lib/c.ko"}, "kernel/lib/c.ko": {"kernel/lib/d.ko"}, "kernel/lib/d.ko": nil}
	file, ok := d.find("a_b")
	if !ok || file != "kernel/fs/a-b.ko.xz" {
		t.Errorf("find = %q, %v", file, ok)
	}
	got := d.withNeeded([]string{"kernel/lib/d.ko"}, file)
	if want := []string{"kernel/lib/d.ko", "kernel/lib/c.ko", "kernel/fs/a-b.ko.xz"}; !slices.Equal(got, want) {
		t.Errorf("withNeeded = %q; want %q", got, want)
	}
}
