package update

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// RunAs makes m a machine that runs a deployment with the root running, as far as
// Apply is told.
func (m *Machine) RunAs(id deployment.ID, running fs.FS) { m.Booted, m.Running = id, running }

// PlaceOf returns the place of a machine that is not running, on a host where nothing is
// mounted.
func PlaceOf(t testing.TB, dir string) machine.Place {
	t.Helper()
	host := t.TempDir()
	if err := os.MkdirAll(filepath.Join(host, "proc/self"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(host, "proc/self/mountinfo"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return machine.Place{Host: machine.Host{Root: root, Files: root.FS()}, Dir: dir}
}
