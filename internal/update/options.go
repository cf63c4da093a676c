package update

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/kargs"
)

// options returns the kernel command line for target, whose image asks for
// wanted on its architecture. It is that of the deployment that target follows,
// with what the two images ask for differently; for a machine's first
// deployment it is what its image and the installation (added) ask for.
func (m *Machine) options(wanted, added []string, architecture string, target deployment.Target) (string, error) {
	current, err := m.current()
	if err != nil {
		return "", err
	}
	files, err := m.boot.Entries()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(files, func(f boot.EntryFile) bool { return f.Target.ID == current && f.Entry.Options != "" })
	if current == "" || i < 0 {
		// The state of the machine is on the physical root: it is mounted
		// writable from the beginning, see prepare-root(8).
		first := strings.Join(append([]string{"rw"}, added...), " ")
		return kargs.Next(first, nil, wanted, target), nil
	}
	before, err := m.kargsOf(current, architecture)
	if err != nil {
		return "", fmt.Errorf("cannot tell which kernel arguments the current image asks for: %w", err)
	}
	return kargs.Next(files[i].Entry.Options, before, wanted, target), nil
}

// kargsOf returns the kernel arguments that the image of a deployment asks
// for.
func (m *Machine) kargsOf(id deployment.ID, architecture string) ([]string, error) {
	tree, err := m.readImage(id)
	if err != nil {
		return nil, err
	}
	s := System{Tree: tree, repo: m.repo}
	return kargs.Load(s.FS(), architecture)
}

// readImage returns the tree of a deployment's image.
func (m *Machine) readImage(id deployment.ID) (*composefs.Node, error) {
	file, err := m.repo.OpenImage(string(id))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return erofs.Read(file, info.Size())
}
