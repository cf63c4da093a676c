package prepareroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Apply makes the mounts of a plan. All mounts are built detached; the last step attaches
// the finished tree. If Apply returns an error, everything is as it was before, except for
// directories of overlays that it may have created. warn is called for problems that do
// not keep the machine from starting.
func Apply(p mountplan.Plan, sysroot string, k Kernel, warn func(string)) error {
	err := apply(p, sysroot, k, warn)
	if errors.Is(err, errRefused) && k.EROFSFiles {
		// Some kernels count an image in a file as one more level of stacking,
		// and one in a loop device not.
		k.EROFSFiles = false
		if apply(p, sysroot, k, warn) == nil {
			return nil
		}
	}
	return err
}

func apply(p mountplan.Plan, sysroot string, k Kernel, warn func(string)) error {
	b := &builder{kernel: k, warn: warn, sysroot: sysroot, mounts: make(map[string]*os.File)}
	defer b.close()
	if err := b.openSysroot(p); err != nil {
		return err
	}
	for _, m := range p {
		if err := b.step(m); err != nil {
			return err
		}
	}
	return nil
}

// A builder holds the mounts that have been made so far.
type builder struct {
	kernel  Kernel
	warn    func(string)
	sysroot string              // the name of the physical root in the plan
	mounts  map[string]*os.File // by name in the plan
	files   []*os.File          // to close, besides
	held    *os.File            // where mounts are held, if they cannot be detached
	made    bool                // whether buildDir was made
}

// close lets go of all mounts that have not been moved away.
func (b *builder) close() {
	for _, f := range b.mounts {
		f.Close()
	}
	for _, f := range b.files {
		f.Close()
	}
	if b.held != nil {
		b.held.Close()
		if err := sys.Unmount(buildDir); err != nil {
			b.warn(err.Error())
		}
	}
	if b.made {
		os.Remove(buildDir)
	}
}

// openSysroot makes a mount of the physical root for the plan's use, writable if
// the plan writes there: the one at sysroot may be read-only.
func (b *builder) openSysroot(p mountplan.Plan) error {
	dir, err := os.Open(b.sysroot)
	if err != nil {
		return fmt.Errorf("cannot open the physical root: %w", err)
	}
	b.files = append(b.files, dir)
	mount, err := clone(dir)
	if err != nil {
		return fmt.Errorf("cannot open the physical root: %w", err)
	}
	if err := b.add(b.sysroot, mount); err != nil {
		return err
	}
	if p[len(p)-1].Where != b.sysroot { // for a soft reboot
		if err := likeMounted(mount); err != nil {
			return fmt.Errorf("cannot open the physical root: %w", err)
		}
	}
	if !slices.ContainsFunc(p, b.writesSysroot) {
		return nil
	}
	if err := makeWritable(mount); err != nil {
		return fmt.Errorf("cannot make the physical root writable, which /etc and /var need: %w", err)
	}
	return nil
}

// likeMounted makes a copy of the mount of the physical root as the initramfs has mounted it.
// In a running system it has sysrootFlags, which /etc and /var must not have.
func likeMounted(mount *os.File) error {
	const hidden = sys.NoSuid | sys.NoDev | sys.NoExec
	st, err := sys.Statfs(mount)
	if err != nil || st.Attr|sys.ReadOnly != sys.ReadOnly|hidden { // somebody may have made it writable
		return err
	}
	return sys.SetMountAttr(mount, 0, hidden)
}

// writesSysroot reports whether a mount lets the new root write to the physical
// root.
func (b *builder) writesSysroot(m mountplan.Mount) bool {
	options := parseOptions(m.Options)
	upper, _ := options.value("upperdir")
	return strings.HasPrefix(upper, b.sysroot+"/") ||
		options.has(optBind) && !options.has(optReadOnly) && strings.HasPrefix(m.What, b.sysroot+"/")
}

// makeWritable undoes what "ro" on the kernel command line, which is there for
// checking the file system first, has done.
func makeWritable(mount *os.File) error {
	if err := sys.SetMountAttr(mount, 0, sys.ReadOnly); err != nil {
		return err
	}
	st, err := sys.Statfs(mount)
	if err != nil || !st.ReadOnly {
		return err
	}
	return sys.Reconfigure(mount, sys.MountFlag("rw"))
}

// step makes one mount and puts it where the plan says.
func (b *builder) step(m mountplan.Mount) error {
	options := parseOptions(m.Options)
	if options.has(optMove) {
		return b.move(m)
	}
	mount, err := b.make(m, options)
	if err != nil {
		return fmt.Errorf("cannot mount %s: %w", m.Where, err)
	}
	parent, name, ok := b.parent(m.Where)
	if !ok {
		return b.add(m.Where, mount)
	}
	b.mounts[m.Where] = mount
	err = sys.Attach(mount, parent, name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the image has no directory /%s: %w", name, err)
	}
	return err
}

func (b *builder) make(m mountplan.Mount, options options) (*os.File, error) {
	switch {
	case options.has(optBind):
		return b.bind(m, options)
	case m.Type == "erofs":
		return b.image(m, options)
	case m.Type == "overlay":
		return b.overlay(m, options)
	}
	if uuid, ok := strings.CutPrefix(m.What, "PARTUUID="); ok {
		return b.partition(uuid, m.Type)
	}
	mount, err := sys.Detached(m.Type, 0, options.mountOptions()...)
	return mount, lacking(m.Type, err)
}

func (b *builder) bind(m mountplan.Mount, options options) (*os.File, error) {
	dir, err := b.open(m.What)
	if err != nil {
		return nil, err
	}
	mount, err := clone(dir)
	if err != nil {
		return nil, err
	}
	if flags := options.flags(); flags != 0 {
		if err := sys.SetMountAttr(mount, flags, 0); err != nil {
			mount.Close()
			return nil, err
		}
	}
	return mount, nil
}

// clone returns a separate mount of the directory. It is private: otherwise, mounts made
// elsewhere in the same file system, such as the new root when it is attached, would
// appear in it too.
func clone(dir *os.File) (*os.File, error) {
	mount, err := sys.CloneTree(dir, "")
	if err != nil {
		return nil, err
	}
	if err := sys.MakePrivate(mount, false); err != nil {
		mount.Close()
		return nil, err
	}
	return mount, nil
}

// move attaches the new root. At the place of the physical root it replaces that one,
// elsewhere it covers what is there.
func (b *builder) move(m mountplan.Mount) error {
	root := b.mounts[m.What]
	if m.Where == b.sysroot && b.moveBeneath(root) == nil {
		return sys.Unmount(b.sysroot)
	}
	where, err := os.Open(m.Where)
	if err != nil {
		return fmt.Errorf("cannot attach the new root: %w", err)
	}
	defer where.Close()
	return sys.Attach(root, where, "")
}

// moveBeneath puts the new root beneath the mount of the physical root: when
// that is unmounted, systemd does not see sysroot.mount go, not for a moment. It
// is an error if there is no such mount, or the kernel cannot do it.
func (b *builder) moveBeneath(root *os.File) error {
	physical, err := os.Open(b.sysroot)
	if err != nil {
		return err
	}
	defer physical.Close()
	st, err := sys.Statx(physical, "")
	if err != nil {
		return err
	}
	if !st.MountRoot {
		return fmt.Errorf("%s is not a mount point", b.sysroot)
	}
	// Where it is a copy of the mount that it is in, as bind mounts are, what
	// happens to one would happen to the other.
	if err := sys.MakePrivate(physical, false); err != nil {
		return err
	}
	return sys.AttachBeneath(root, physical, "")
}

// add registers a mount that is not attached yet. For a kernel that cannot use a detached
// one, it is attached at a hidden place.
func (b *builder) add(name string, mount *os.File) error {
	b.mounts[name] = mount
	if b.kernel.DetachedLayers {
		return nil
	}
	return b.hold(name, mount)
}

func (b *builder) hold(name string, mount *os.File) error {
	if b.held == nil {
		if err := b.makeHeld(); err != nil {
			return fmt.Errorf("cannot use %s: %w", buildDir, err)
		}
	}
	// The physical root may itself have a name below buildDir.
	dir := strings.ReplaceAll(strings.Trim(name, "/"), "/", "-")
	root, err := os.OpenRoot(procPath(b.held))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return sys.Attach(mount, b.held, dir)
}

// makeHeld mounts a private tmpfs at buildDir: what is below a shared mount
// cannot be moved away.
func (b *builder) makeHeld() error {
	err := os.MkdirAll(buildDir, 0o700)
	if err != nil {
		return err
	}
	b.made = true
	dir, err := os.Open(buildDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	held, err := sys.Detached("tmpfs", sys.NoSuid|sys.NoDev|sys.NoExec, sys.MountString("mode", "0700"))
	if err != nil {
		return err
	}
	if err := sys.Attach(held, dir, ""); err != nil {
		held.Close()
		return err
	}
	b.held = held
	return sys.MakePrivate(held, false)
}

// parent returns the mount of the plan below which a name is, and the rest of
// the name.
func (b *builder) parent(name string) (mount *os.File, rest string, ok bool) {
	for dir := path.Dir(name); len(dir) > 1; dir = path.Dir(dir) {
		if f, ok := b.mounts[dir]; ok {
			return f, strings.TrimPrefix(name, dir+"/"), true
		}
	}
	return nil, "", false
}

// open opens a directory by its name in the plan, until the builder is closed.
func (b *builder) open(name string) (*os.File, error) {
	mount, rest, ok := b.parent(name)
	if f, whole := b.mounts[name]; whole {
		mount, rest, ok = f, ".", true
	}
	if !ok {
		return nil, fmt.Errorf("%s is not a mount of the plan", name)
	}
	f, err := openBelow(mount, rest)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", name, err)
	}
	b.files = append(b.files, f)
	return f, nil
}
