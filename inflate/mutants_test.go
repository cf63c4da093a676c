package inflate

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutants are mistakes that somebody might make here: a text in a file, and what it
// becomes. TestSame has to notice each.
var mutants = []struct{ file, old, wrong string }{
	{"symbols.go", "if distance > z.out-z.low {", "if distance > z.out {"},
	{"fast.go", "if distance > out-uint(z.low) {", "if distance > out {"},
	{"fast.go", "count = uint32(-begin & 7)", "count = uint32(-begin&7) | 8"},
	{"fast.go", "z.pos = int(pos - uint(count>>3))", "z.pos = int(pos)"},
	{"fast.go", "for to += 32; to < end; to += 16 {", "for to += 32; to+16 < end; to += 16 {"},
	{"fast.go", "distance *= 2", "distance *= 3"},
	{"fast.go", "if distance >= 16 {", "if distance >= 15 {"},
	{"fast.go", "last := uint(z.end - fastInput)", "last := uint(z.end)"},
	{"fast.go", "bits>>distWidth&(1<<(d>>8&15)-1)", "bits>>distWidth&(1<<(d>>8&3)-1)"},
	{"fast.go", "- consumed(e) // in bits", "- codeBits(e) // in bits"},
	{"block.go", "z.least = max(z.least, uint(lit[endOfBlock]))", "z.least += 0"},
	{"block.go", "if times > n-h.got {", "if times > n-h.got+1 {"},
	{"block.go", "symbol == 16 && h.got == 0", "symbol == 17 && h.got == 0"},
	{"block.go", "if n != complement^0xffff {", "if n&0x7fff != (complement^0xffff)&0x7fff {"},
	{"table.go", "case most == 1 && count[1] == 1:", "case most == 1:"},
	{"table.go", "case free != 0:", "case free < 0:"},
	{"table.go", "t[30], t[31] = entryException, entryException", "t[30], t[31] = 1<<16, 1<<16"},
	{"table.go", "t[285] = 258 << 16", "t[285] = 257 << 16"},
	{"table.go", "for free > 0 && w+width < most {", "for free > 1 && w+width < most {"},
	{"inflate.go", "z.low = max(z.low-shift, 0)", "z.low = 0"},
	{"inflate.go", "history = 32 << 10", "history = 31 << 10"},
	{"member.go", "maxText = 512", "maxText = 513"},
	{"member.go", "z.size += uint32(len(b))", "z.size += uint32(len(b)) &^ 1"},
	{"input.go", "begin := z.pos - keep\n", "begin := z.pos - keep/4\n"},
}

// TestMutants tests the tests: TestSame fails with each mutant. It builds a program for
// each, and so runs only where tests may take long.
func TestMutants(t *testing.T) {
	if os.Getenv("SYSUPDATE_VM_TESTS") != "long" {
		t.Skip("a test of minutes runs only with SYSUPDATE_VM_TESTS=long, as in make machines-long")
	}
	for _, m := range mutants {
		t.Run(m.file+"/"+m.wrong, func(t *testing.T) {
			program := buildMutant(t, m.file, m.old, m.wrong)
			out, err := exec.Command(program, "-test.run", "^TestSame$", "-cases", "20000", "-test.timeout", "30m").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestSame") {
				t.Fatalf("TestSame did not notice: %v\n%s", err, out)
			}
			t.Log(strings.SplitN(string(out), "\n", 3)[1])
		})
	}
}

// buildMutant builds the test program of this package with a change in a file.
func buildMutant(t *testing.T, name, old, wrong string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), old) != 1 {
		t.Fatalf("%s does not have %q once", name, old)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, name)
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), old, wrong, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	original, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "mutant.test")
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	return program
}
