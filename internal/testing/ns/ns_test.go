package ns

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestMountsStayInside(t *testing.T) {
	if _, err := os.Stat("/run/nstest-was-here"); err == nil {
		t.Fatal("/run/nstest-was-here is left from before")
	}
	Run(t, func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Errorf("uid = %d; want 0", os.Getuid())
		}
		if err := os.WriteFile("/run/nstest-was-here", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		dir := Dir(t)
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			t.Fatalf("mount: %v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := os.Stat("/run/nstest-was-here"); err == nil && os.Getenv(inside) == "" {
		t.Error("what was written to /run inside is seen outside")
	}
}

func TestSubtest(t *testing.T) {
	t.Run("with a space", func(t *testing.T) {
		Run(t, func(t *testing.T) {
			if err := syscall.Mount("tmpfs", Dir(t), "tmpfs", 0, ""); err != nil {
				t.Errorf("mount: %v", err)
			}
		})
	})
}

func TestSkipIsPassedOn(t *testing.T) {
	ran := t.Run("skipped", func(t *testing.T) {
		defer func() {
			if !t.Skipped() && os.Getenv(inside) == "" {
				t.Error("the test was skipped inside, but not outside")
			}
		}()
		Run(t, func(t *testing.T) { t.Skip("to see that skips are passed on") })
	})
	if !ran {
		t.Error("a skipped test has failed")
	}
}
