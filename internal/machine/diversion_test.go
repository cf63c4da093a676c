package machine

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

func TestDiversions(t *testing.T) {
	for _, tt := range []struct {
		files map[string]string
		want  []Diversion
	}{
		{nil, nil},
		{map[string]string{"sys/kernel/kexec_loaded": "0\n", "run/other": ""}, nil},
		{map[string]string{"sys/kernel/kexec_loaded": "1\n"}, []Diversion{ByKexec}},
		{map[string]string{"sys/kernel/kexec_loaded": "1\n", "run/nextroot/usr": ""}, []Diversion{ByKexec, ByNextRoot}},
	} {
		running := fstest.MapFS{}
		for name, text := range tt.files {
			running[name] = &fstest.MapFile{Data: []byte(text)}
		}
		s := System{Running: running}
		if got := s.diversions(); !slices.Equal(got, tt.want) {
			t.Errorf("of %v: %q; want %q", tt.files, got, tt.want)
		}
	}
	if got := (&System{}).diversions(); got != nil {
		t.Errorf("of a machine that does not run: %q", got)
	}
}

func TestClearOneShot(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, bootcount.VariableFile(boot.OneShot))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte{7, 0, 0, 0, 'a', 0, 0, 0}, 0o644); err != nil {
		t.Fatal(err)
	}
	host, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	s := System{Host: host, Running: host.FS()}
	for range 2 {
		if err := s.ClearDiversions(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("the variable is still there: %v", err)
		}
	}
}

// The kernel protects EFI variables from being removed by mistake, as chattr +i does files.
func TestClearProtectedOneShot(t *testing.T) {
	ns.NeedRealRoot(t)
	dir := t.TempDir()
	file := filepath.Join(dir, bootcount.VariableFile(boot.OneShot))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := sys.SetProtection(f, sys.Protection{Immutable: true}); err != nil {
		t.Skip("the file system of temporary files has no attribute i:", err)
	}
	host, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if err := (&System{Host: host, Running: host.FS()}).ClearDiversions(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the variable is still there: %v", err)
	}
}

func TestClearNextRoot(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		host, err := os.OpenRoot("/")
		if err != nil {
			t.Fatal(err)
		}
		defer host.Close()
		s := System{Host: host, Running: host.FS()}
		if err := os.MkdirAll("/run/nextroot/usr", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := s.ClearDiversions(); err == nil || !slices.Contains(s.diversions(), ByNextRoot) {
			t.Errorf("of a directory with files: %v, left %q; want an error", err, s.diversions())
		}
		if err := os.Remove("/run/nextroot/usr"); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", "/run/nextroot", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir("/run/nextroot/usr", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := s.ClearDiversions(); err != nil || slices.Contains(s.diversions(), ByNextRoot) {
			t.Errorf("of a mount: %v, left %q", err, s.diversions())
		}
	})
}
