package house

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// budgets are the largest sizes of the programs, in bytes; for what goes into
// an initramfs also when compressed as there. docs/architecture.md, "Programs".
var budgets = []struct {
	program    string
	plain, zst int64
}{
	{"prepare-root", 3_000_000, 1_100_000},
	{"init", 3_500_000, 1_300_000},
	{"finalize", 3_200_000, 1_150_000},
	{"health", 3_200_000, 1_150_000},
	{"sysupdate-image-generator", 3_000_000, 1_100_000},
	{"sysupdate-image", 26_000_000, 0},
}

// TestPrograms builds the programs and looks at them.
func TestPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("all programs are built only without -short, as in make check")
	}
	bin := build(t, repository(t))
	t.Run("budgets", func(t *testing.T) { testBudgets(t, bin) })
	t.Run("static", func(t *testing.T) { testStatic(t, bin) })
	t.Run("reproducible", func(t *testing.T) { testReproducible(t, bin) })
}

func testBudgets(t *testing.T, bin string) {
	for _, b := range budgets {
		program := filepath.Join(bin, b.program)
		info, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes of %d", b.program, info.Size(), b.plain)
		if info.Size() > b.plain {
			t.Errorf("%s has %d bytes; its budget is %d", b.program, info.Size(), b.plain)
		}
		if b.zst == 0 {
			continue
		}
		if size := compressedSize(t, program); size > b.zst {
			t.Errorf("%s has %d bytes as zstd -19; its budget is %d", b.program, size, b.zst)
		}
	}
}

func compressedSize(t *testing.T, program string) int64 {
	t.Helper()
	zstd, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("zstd is not installed")
	}
	var out bytes.Buffer
	cmd := exec.Command(zstd, "-19", "-c", program)
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("zstd -19 %s: %v", program, err)
	}
	return int64(out.Len())
}

// testReproducible compares the programs with those of a copy of the checkout in another
// directory.
func testReproducible(t *testing.T, bin string) {
	elsewhere := filepath.Join(t.TempDir(), "some", "where else")
	copyTree(t, repository(t), elsewhere)
	again := build(t, elsewhere)
	for _, b := range budgets {
		if x, y := sum(t, filepath.Join(bin, b.program)), sum(t, filepath.Join(again, b.program)); x != y {
			t.Errorf("%s: sha256 %s in one directory, %s in another", b.program, x, y)
		}
	}
}

// testStatic runs the programs' files by file(1)'s rule: no
// interpreter, so that they run in an initramfs that holds nothing else.
func testStatic(t *testing.T, bin string) {
	for _, b := range budgets {
		if interp := interpreter(t, filepath.Join(bin, b.program)); interp != "" {
			t.Errorf("%s asks for %s; want a static program", b.program, interp)
		}
	}
}

// build runs make in dir and returns a directory with the programs.
func build(t *testing.T, dir string) string {
	t.Helper()
	bin := t.TempDir()
	cmd := exec.Command("make", "--silent", "--jobs=2", "-C", dir, "OUT="+bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make: %v\n%s", err, out)
	}
	return bin
}

// copyTree copies the files that a clone would have.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	script := `git ls-files -z --cached --others --exclude-standard | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh | tar -c --null -T - | tar -x -C "$0"`
	cmd := exec.Command("sh", "-c", script, to)
	cmd.Dir = from
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("copy the checkout: %v\n%s", err, out)
	}
}

func sum(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}
