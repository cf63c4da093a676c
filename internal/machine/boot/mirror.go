package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A Mirroring is what it takes to have a second EFI system partition, the mirror, boot the
// machine where the first is gone: by PlanMirror, a plain value, which Run carries out. The mirror
// has only what is proven: nobody blesses what is booted from it.
type Mirroring struct {
	from, to *Partition
	wanted   []EntryFile // in the loader's order
	Kernels  []string    // directories of kernels to write: missing, or not the same
	Entries  []string    // file names of boot entries to write
	Loader   []MirrorFile
	Removal  Removal // what is there, of this machine, and not on the first
	// Occupied is where another program has a boot loader, at the path that firmware looks at, "" if
	// it has none: that one stays.
	Occupied string
}

// A MirrorFile is a file to write, by its path.
type MirrorFile struct {
	Path    string
	Content []byte
}

// ErrNothingProven says that no boot entry of a machine is one that a mirror would get.
var ErrNothingProven = errors.New("no boot entry has proved itself yet")

// PlanMirror compares a mirror with the partition and changes nothing. It gets the entries
// of the proven deployments. Kernels are the same if their files have the same sizes, or,
// with contents, if they are the same byte for byte.
func (p *Partition) PlanMirror(ctx context.Context, to *Partition, proven []deployment.ID, contents bool) (Mirroring, error) {
	m, err := p.planMirror(ctx, to, proven, contents)
	if err != nil {
		return m, fmt.Errorf("cannot compare %s with %s: %w", to, p, err)
	}
	return m, nil
}

func (p *Partition) planMirror(ctx context.Context, to *Partition, proven []deployment.ID, contents bool) (m Mirroring, err error) {
	m = Mirroring{from: p, to: to}
	if m.wanted, err = p.mirrored(proven); err != nil {
		return m, err
	}
	for _, f := range m.wanted {
		if have, err := to.readSmall(EntryPath(f.File)); err != nil || string(have) != string(f.raw) {
			m.Entries = append(m.Entries, f.File)
		}
	}
	for _, dir := range m.kernelDirs() {
		same, err := m.hasKernel(ctx, dir, contents)
		if err != nil {
			return m, err
		}
		if !same {
			m.Kernels = append(m.Kernels, dir)
		}
	}
	if err := m.planLoader(); err != nil {
		return m, err
	}
	m.Removal, err = m.obsolete()
	return m, err
}

// Equal reports whether there is nothing to do.
func (m Mirroring) Equal() bool {
	return len(m.Kernels) == 0 && len(m.Entries) == 0 && len(m.Loader) == 0 && len(m.Removal.Paths()) == 0
}

// First returns the entry that the mirror boots by default.
func (m Mirroring) First() bootentry.Entry { return m.wanted[0].Entry }

// Writes returns the paths of all that Run writes, in order.
func (m Mirroring) Writes() []string {
	paths := slices.Clone(m.Kernels)
	for _, file := range m.Entries {
		paths = append(paths, EntryPath(file))
	}
	for _, f := range m.Loader {
		paths = append(paths, f.Path)
	}
	return paths
}

// mirrored returns the entries that a mirror gets: of each proven deployment the first that nobody
// counts, if all that it boots is in directories of kernels.
func (p *Partition) mirrored(proven []deployment.ID) (wanted []EntryFile, err error) {
	files, err := p.Entries()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		id := f.Target.ID
		has := slices.ContainsFunc(wanted, func(w EntryFile) bool { return w.Target.ID == id })
		if _, ok := f.kernelDirs(); ok && f.Good() && !f.byGRUB && !has && slices.Contains(proven, id) {
			wanted = append(wanted, f)
		}
	}
	if len(wanted) == 0 {
		return nil, ErrNothingProven
	}
	return wanted, nil
}

// kernelDirs returns the directories of what the entry boots, and whether all of it is in such.
func (f EntryFile) kernelDirs() (dirs []string, ok bool) {
	for _, name := range f.Entry.Kernel() {
		dir, ok := kernelDirOf(name)
		if !ok {
			return nil, false
		}
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, true
}

// kernelDirOf returns the directory of a kernel that a file is in.
func kernelDirOf(name string) (dir string, ok bool) {
	for _, place := range kernelPlaces {
		below, ok := cutDir(Relative(name), place.dir)
		base, _, deeper := strings.Cut(below, "/")
		if ok && deeper && strings.HasPrefix(base, place.prefix) {
			return path.Join(place.dir, base), true
		}
	}
	return "", false
}

func (m Mirroring) kernelDirs() (dirs []string) {
	for _, f := range m.wanted {
		own, _ := f.kernelDirs()
		for _, dir := range own {
			if !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// openKernel opens all files of a kernel's directory. The caller has done close them, also
// with an error.
func (p *Partition) openKernel(dir string) (k kernel, done func(), err error) {
	var opened []fs.File
	k.at = dir
	err = fs.WalkDir(p.root.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := p.root.Open(name)
		if err != nil {
			return err
		}
		opened = append(opened, f)
		info, err := f.Stat()
		if err != nil {
			return err
		}
		k.parts = append(k.parts, part{name: strings.TrimPrefix(name, dir+"/"), named: true, content: f, size: info.Size()})
		return nil
	})
	return k, func() {
		for _, f := range opened {
			f.Close()
		}
	}, err
}

// hasKernel reports whether the mirror has the kernel that the first has in a directory.
func (m Mirroring) hasKernel(ctx context.Context, dir string, contents bool) (bool, error) {
	k, done, err := m.from.openKernel(dir)
	defer done()
	if err != nil || !m.to.hasSizes(k) || !contents {
		return err == nil && m.to.hasSizes(k), err
	}
	if k, err = newKernelAt(ctx, k); err != nil {
		return false, err
	}
	return m.to.verifyKernel(ctx, k)
}

// newKernelAt is newKernel for one that keeps its directory.
func newKernelAt(ctx context.Context, k kernel) (kernel, error) {
	hashed, err := newKernel(ctx, k.parts)
	hashed.at = k.at
	return hashed, err
}

// isObsolete reports whether an entry on the mirror is of this program, and not wanted.
func (m Mirroring) isObsolete(f EntryFile) bool {
	_, ours := serialOf(f.Name)
	own := ours || f.IsDeployment() || f.isStaged() || isFiller(f.File)
	return own && !m.wants(f)
}

// wants reports whether an entry on the mirror is to be there.
func (m Mirroring) wants(f EntryFile) bool {
	return slices.ContainsFunc(m.wanted, func(w EntryFile) bool { return w.File == f.File })
}

// obsolete returns what the mirror does not need: entries that are not wanted, and kernels that
// no other entry names.
func (m Mirroring) obsolete() (r Removal, err error) {
	files, err := m.to.Entries()
	if err != nil {
		return r, err
	}
	rest := slices.DeleteFunc(slices.Clone(files), m.isObsolete)
	for _, f := range files {
		if m.isObsolete(f) {
			r.Entries = append(r.Entries, EntryPath(f.File))
		}
	}
	dirs := m.kernelDirs()
	r.Kernels, err = m.to.unneeded(rest)
	// An earlier try may have been stopped before it wrote the entry.
	r.Kernels = slices.DeleteFunc(r.Kernels, func(name string) bool { return slices.Contains(dirs, name) })
	return r, err
}

// IsSame reports whether both are the same directory of the same file system.
func (p *Partition) IsSame(other *Partition) (bool, error) {
	ours, err := sys.Statx(p.dir, "")
	theirs, errTheirs := sys.Statx(other.dir, "")
	same := ours.DevMajor == theirs.DevMajor && ours.DevMinor == theirs.DevMinor && ours.Inode == theirs.Inode
	return same, errors.Join(err, errTheirs)
}

// CheckMirror refuses a partition that has something of another system, as a mirror.
func (p *Partition) CheckMirror(to *Partition) error {
	files, err := to.Entries()
	if err != nil {
		return err
	}
	have, err := p.inventory()
	if err != nil {
		return err
	}
	for _, f := range files {
		if have.disown(&f); f.Foreign || !f.IsDeployment() && !f.isStaged() && !isFiller(f.File) {
			return fmt.Errorf("%s has a boot entry of another system, %s", to, EntryPath(f.File))
		}
	}
	for _, dir := range []string{".", "EFI", bootcDir} {
		names, err := to.readDir(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if name = path.Join(dir, name); !isMirrors(name) {
				return fmt.Errorf("%s has files of another system, /%s", to, name)
			}
		}
	}
	return nil
}

// isMirrors reports whether a name in the root of a partition, in EFI or in bootcDir may be
// that of something on a mirror.
func isMirrors(name string) bool {
	if dir, base := path.Split(name); dir == bootcDir+"/" {
		return base == "bootc" || strings.HasPrefix(base, bootcPrefix)
	}
	own := []string{"EFI", "EFI/BOOT", "EFI/systemd", bootcDir, "loader", kernelsDir}
	return slices.ContainsFunc(own, func(o string) bool { return strings.EqualFold(o, name) })
}

// Clear removes all boot entries and kernels of this program from a partition that was a
// mirror. The boot loader stays: without entries, it boots nothing.
func (p *Partition) Clear() error {
	r, err := Mirroring{to: p}.obsolete()
	if err == nil {
		err = p.Prune(r)
	}
	if err != nil {
		return fmt.Errorf("cannot clear %s: %w", p, err)
	}
	return nil
}
