package superblock

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFATID reads what mkfs.vfat(8) writes.
func TestFATID(t *testing.T) {
	mkfs, err := exec.LookPath("mkfs.vfat")
	if err != nil {
		t.Skip("there is no mkfs.vfat")
	}
	for _, bits := range []string{"12", "16", "32"} {
		name := filepath.Join(t.TempDir(), "fat")
		if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Truncate(name, 64<<20)); err != nil {
			t.Fatal(err)
		}
		args := []string{"-F", bits, "-i", "0A2B3C4D", name}
		if bits == "12" {
			args = append([]string{"-s", "128"}, args...)
		}
		if out, err := exec.Command(mkfs, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := FATID(f); id != "0A2B-3C4D" || err != nil {
			t.Errorf("FATID of FAT%s = %q, %v", bits, id, err)
		}
		f.Close()
	}
}

func TestFATIDRefuses(t *testing.T) {
	for _, text := range []string{"", strings.Repeat("\x00", 512), strings.Repeat("x", 511)} {
		if id, err := FATID(bytes.NewReader([]byte(text))); err == nil {
			t.Errorf("FATID of %d bytes = %q", len(text), id)
		}
	}
}
