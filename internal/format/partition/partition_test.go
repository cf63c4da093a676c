package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	esp      = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	rootType = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	uuid     = "01234567-89ab-cdef-0123-456789abcdef"
)

const gptScript = `label: gpt
size=1MiB, type=` + esp + `, name=ÄSP
size=1MiB, type=` + rootType + `, uuid=` + uuid + `, name=root, attrs="GUID:63"
`

// disk returns one of 8 MiB that sfdisk(8) has partitioned.
func disk(t testing.TB, script string) []byte {
	t.Helper()
	sfdisk, err := exec.LookPath("sfdisk")
	if err != nil {
		t.Skip("there is no sfdisk")
	}
	name := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, 8<<20)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(sfdisk, "--quiet", name)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func read(t *testing.T, data []byte) Table {
	t.Helper()
	table, err := Read(bytes.NewReader(data), 512, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestGPT(t *testing.T) {
	whole := disk(t, gptScript)
	firstLost, bothLost := bytes.Clone(whole), bytes.Clone(whole)
	for _, data := range [][]byte{firstLost, bothLost} {
		data[2*512] ^= 1 // in the first table of entries
	}
	bothLost[len(bothLost)-512+60] ^= 1 // in the second header
	want := Partition{Type: rootType, UUID: uuid, Label: "root", Attributes: 1 << 63, Start: 2 << 20, Size: 1 << 20}
	for name, data := range map[string][]byte{"whole": whole, "first lost": firstLost} {
		table := read(t, data)
		if got, ok := table.Partition(2); got != want || !ok {
			t.Errorf("%s: partition 2 = %+v, %v; want %+v", name, got, ok, want)
		}
		if got, ok := table.Partition(1); got.Label != "ÄSP" || got.Type != esp || !ok {
			t.Errorf("%s: partition 1 = %+v, %v", name, got, ok)
		}
		if got, ok := table.Partition(3); ok {
			t.Errorf("%s: partition 3 = %+v; want none", name, got)
		}
	}
	if got, ok := read(t, bothLost).Partition(2); ok {
		t.Errorf("both lost: partition 2 = %+v; want none", got)
	}
}

func TestMBR(t *testing.T) {
	table := read(t, disk(t, "label: dos\nlabel-id: 0x1234abcd\nsize=1MiB\n"))
	if got, ok := table.Partition(5); got != (Partition{UUID: "1234abcd-05"}) || !ok {
		t.Errorf("partition 5 = %+v, %v", got, ok)
	}
	for _, data := range [][]byte{nil, make([]byte, 512), make([]byte, 4096)} {
		if got, ok := read(t, data).Partition(1); ok {
			t.Errorf("partition of a disk without a table = %+v", got)
		}
	}
}

func FuzzRead(f *testing.F) {
	data := disk(f, gptScript)
	f.Add(data[:34*512])
	f.Add(data[:512])
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Read(bytes.NewReader(data), 512, int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for n := range table.partitions {
			if p, _ := table.Partition(n); len(p.Type) != 36 || len(p.UUID) != 36 {
				t.Errorf("partition %d = %+v", n, p)
			}
		}
	})
}

// TestHostile: sizes in a header are not believed.
func TestHostile(t *testing.T) {
	data := disk(t, gptScript)[:34*512]
	for _, at := range []int{72, 80, 84} {
		bad := bytes.Clone(data)
		binary.LittleEndian.PutUint32(bad[512+at:], 0xffffffff)
		if got, ok := read(t, bad).Partition(1); ok {
			t.Errorf("with a header that is wrong at %d: %+v", at, got)
		}
	}
}

// file is a disk in memory.
type file struct{ data []byte }

func (f *file) ReadAt(p []byte, at int64) (int, error) { return bytes.NewReader(f.data).ReadAt(p, at) }
func (f *file) Sync() error                            { return nil }
func (f *file) WriteAt(p []byte, at int64) (int, error) {
	return copy(f.data[at:], p), nil
}

// Amend changes labels and attributes and nothing else, and both copies are what sfdisk takes for whole.
func TestAmend(t *testing.T) {
	d := &file{disk(t, gptScript)}
	before := read(t, d.data)
	if err := Amend(d, 512, int64(len(d.data)), map[int]Change{2: {"fertig ☺", 1 << 60}}); err != nil {
		t.Fatal(err)
	}
	want, _ := before.Partition(2)
	want.Label, want.Attributes = "fertig ☺", 1<<60
	primary := bytes.Clone(d.data)
	clear(d.data[512:1024])
	for name, data := range map[string][]byte{"both": primary, "backup": d.data} {
		table := read(t, data)
		if got, _ := table.Partition(2); got != want {
			t.Errorf("%s: partition 2 = %+v; want %+v", name, got, want)
		}
		one, _ := before.Partition(1)
		if got, _ := table.Partition(1); got != one {
			t.Errorf("%s: partition 1 = %+v; want %+v", name, got, one)
		}
	}
	if err := Damaged(&file{primary}, 512, int64(len(primary))); err != nil {
		t.Errorf("Damaged = %v; want nil", err)
	}
	if err := Damaged(d, 512, int64(len(d.data))); err == nil || !strings.Contains(err.Error(), "primary") {
		t.Errorf("Damaged without a primary table = %v", err)
	}
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, primary, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sfdisk", "--verify", name).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No errors detected") {
		t.Errorf("sfdisk --verify: %v\n%s", err, out)
	}
	for _, changes := range []map[int]Change{{0: {}}, {129: {}}, {1: {Label: strings.Repeat("x", 37)}}} {
		if err := Amend(&file{primary}, 512, int64(len(primary)), changes); err == nil {
			t.Errorf("Amend(%v) = nil; want an error", changes)
		}
	}
}
