package boot

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Run makes the mirror what PlanMirror has found it should be: kernels before the entries that
// name them, the boot loader, and then what is not needed any more goes. At every moment, each
// entry on the mirror names whole files, and the mirror has one if it had one before.
func (m Mirroring) Run(ctx context.Context) error {
	if err := m.run(ctx); err != nil {
		return fmt.Errorf("cannot copy what boots to %s: %w", m.to, m.to.explain(err))
	}
	return nil
}

func (m Mirroring) run(ctx context.Context) error {
	for _, f := range m.wanted {
		if err := m.copyEntry(ctx, f); err != nil {
			return err
		}
	}
	if len(m.Loader) > 0 {
		if err := m.to.makeLoaderDirs(); err != nil {
			return err
		}
	}
	for _, f := range m.Loader {
		if err := m.to.WriteFile(f.Path, f.Content); err != nil {
			return err
		}
	}
	obsolete, err := m.obsolete()
	if err != nil {
		return err
	}
	return m.to.Prune(obsolete)
}

// copyEntry copies an entry, and before it what it boots.
func (m Mirroring) copyEntry(ctx context.Context, f EntryFile) error {
	dirs, _ := f.kernelDirs()
	for _, dir := range dirs {
		if slices.Contains(m.Kernels, dir) {
			if err := m.copyKernel(ctx, dir); err != nil {
				return err
			}
		}
	}
	if !slices.Contains(m.Entries, f.File) {
		return nil
	}
	if err := m.to.makeDirs(); err != nil {
		return err
	}
	// What an earlier try has copied counts only from here on, too.
	if err := m.to.sync(); err != nil {
		return err
	}
	return m.to.writeEntry(f.File, f.raw)
}

func (m Mirroring) copyKernel(ctx context.Context, dir string) error {
	k, done, err := m.from.openKernel(dir)
	defer done()
	if err != nil {
		return err
	}
	if k, err = newKernelAt(ctx, k); err != nil {
		return err
	}
	superseded, err := m.superseded()
	if err != nil {
		return err
	}
	if parent := path.Dir(dir); parent != kernelsDir { // which has a size of its own
		if err := m.to.MakeDir(parent); err != nil {
			return err
		}
	}
	_, err = m.to.writeKernel(ctx, k, superseded)
	return err
}

// superseded returns the deployments that may go from the mirror to make room, the oldest first.
// The newest stays until there is one that is wanted.
func (m Mirroring) superseded() (ids []deployment.ID, err error) {
	files, err := m.to.Entries()
	if err != nil {
		return nil, err
	}
	stays := m.wantedIDs()
	if !slices.ContainsFunc(files, func(f EntryFile) bool { return f.Bootable() && m.wants(f) }) {
		stays = append(stays, firstOf(files))
	}
	for _, f := range slices.Backward(files) {
		if id := f.Target.ID; f.IsDeployment() && !slices.Contains(stays, id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (m Mirroring) wantedIDs() (ids []deployment.ID) {
	for _, f := range m.wanted {
		ids = append(ids, f.Target.ID)
	}
	return ids
}

// firstOf returns the deployment that a loader would boot of entries, "" if there is none.
func firstOf(files []EntryFile) deployment.ID {
	if f, ok := Next(files); ok {
		return f.Target.ID
	}
	return ""
}

// Room returns how many bytes Run needs on the mirror at most, with what it removes before it
// has to, and how many there are.
func (m Mirroring) Room() (need, free int64, err error) {
	var sizes []int64
	for _, dir := range m.Kernels {
		k, done, err := m.from.openKernel(dir)
		done()
		if err != nil {
			return 0, 0, err
		}
		sizes = append(sizes, k.sizes()...)
	}
	for _, f := range m.Loader {
		sizes = append(sizes, int64(len(f.Content)))
	}
	if need, free, err = m.to.Room(sizes...); err != nil {
		return 0, 0, err
	}
	_, block, err := m.to.space()
	for _, name := range m.Removal.Paths() {
		if err == nil {
			var size int64
			size, err = m.to.sizeOf(name, block)
			free += size
		}
	}
	return need, free, err
}

// CheckRoom refuses a mirror that is too small, by what Room returned.
func (m Mirroring) CheckRoom(need, free int64) error {
	if need <= free {
		return nil
	}
	return &NoRoomError{Partition: m.to.String(), Need: need, Free: free, Besides: m.to.besides()}
}

// planLoader finds the files of systemd-boot to write: those that are missing, or older than those
// of the first partition. Where firmware looks if it was told of no loader, another program's
// stays.
func (m *Mirroring) planLoader() error {
	first := m.from.LoaderPartition()
	loader, err := first.systemdBoot()
	if err != nil {
		return err
	}
	for _, name := range LoaderPaths() {
		there, found, err := m.to.readLoaderFile(name)
		if err != nil {
			return err
		}
		switch {
		case found && !IsSystemdBoot(there) && path.Dir(name) == "EFI/BOOT":
			m.Occupied = name
		case !found || replacesLoader(loader, there):
			m.Loader = append(m.Loader, MirrorFile{name, loader})
		}
	}
	settings, found, err := first.readLoaderFile(loaderConfFile)
	if err != nil || !found {
		return err
	}
	if there, found, err := m.to.readLoaderFile(loaderConfFile); err != nil {
		return err
	} else if !found || !bytes.Equal(there, settings) {
		m.Loader = append(m.Loader, MirrorFile{loaderConfFile, settings})
	}
	return nil
}

// loaderConfFile is where systemd-boot has its settings.
const loaderConfFile = "loader/loader.conf"

// replacesLoader reports whether a systemd-boot takes the place of what is there: it is no older.
func replacesLoader(loader, there []byte) bool {
	version := func(data []byte) string { return strings.TrimPrefix(loaderInfo(data), "systemd-boot ") }
	older := IsSystemdBoot(there) && bootentry.CompareVersions(version(loader), version(there)) < 0
	return !older && !bytes.Equal(loader, there)
}

// systemdBoot returns the systemd-boot of an EFI system partition.
func (p *Partition) systemdBoot() ([]byte, error) {
	for _, name := range LoaderPaths() {
		data, found, err := p.readLoaderFile(name)
		if err != nil {
			return nil, err
		}
		if found && IsSystemdBoot(data) {
			return data, nil
		}
	}
	return nil, fmt.Errorf("there is no systemd-boot on %s", p)
}

func (p *Partition) readLoaderFile(name string) (data []byte, found bool, err error) {
	data, err = bounded.ReadRoot(p.root, name, limits.Loader)
	found, err = bounded.Found(err)
	return data, found, err
}
