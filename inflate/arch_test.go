package inflate

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestArchitectures runs TestSame and what else there is as programs for a 32-bit processor
// and for arm64, the latter by QEMU. It builds them, and so runs only where tests may take long.
func TestArchitectures(t *testing.T) {
	if os.Getenv("SYSUPDATE_VM_TESTS") != "long" {
		t.Skip("a test of minutes runs only with SYSUPDATE_VM_TESTS=long, as in make machines-long")
	}
	tests := []struct {
		arch    string
		runners []string // any of them; none if programs for arch run by themselves
	}{{"386", nil}, {"arm64", []string{"qemu-aarch64-static", "qemu-aarch64"}}}
	for _, tt := range tests {
		t.Run(tt.arch, func(t *testing.T) {
			args := []string{buildFor(t, tt.arch), "-test.run", "^Test[^AM]", "-cases", "300"}
			if tt.runners != nil {
				runner := firstProgram(tt.runners)
				if runner == "" {
					t.Skipf("none of %v is installed (Debian's package qemu-user-static)", tt.runners)
				}
				args = append([]string{runner}, args...)
			}
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
		})
	}
}

func firstProgram(names []string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// buildFor builds the test program of this package for an architecture.
func buildFor(t *testing.T, arch string) string {
	program := filepath.Join(t.TempDir(), "inflate.test")
	build := exec.Command("go", "test", "-c", "-vet=off", "-o", program, ".")
	build.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go test -c for %s: %v\n%s", arch, err, out)
	}
	return program
}
