package update

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// options returns the kernel command line for target, the deployment of an image
// for an architecture. It is that of the deployment that target follows, with
// what the two images ask for differently; for a machine's first deployment it
// is what its image and the installation (o) ask for.
//
// A unified kernel image contains its command line. Then this one is kept for a later
// deployment without one.
func (m *Machine) options(system *system.System, o Options, architecture string, target deployment.Target) (string, error) {
	if system.Kernel.UKI != nil && len(o.Kargs) > 0 {
		return "", fmt.Errorf("cannot add kernel arguments %q: the command line is part of the image's %s", o.Kargs, system.Kernel)
	}
	if system.Kernel.UKI != nil && len(o.KargDeletes) > 0 {
		return "", fmt.Errorf("cannot delete kernel arguments %q: the command line is part of the image's %s", o.KargDeletes, system.Kernel)
	}
	current, before, err := m.optionsBefore()
	if err != nil {
		return "", err
	}
	if before == "" {
		return withoutDeleted(kargs.Next(m.firstOptions(system, o), nil, system.Kargs, target), o.KargDeletes, target)
	}
	old, err := m.kargsOf(current, architecture)
	if err != nil {
		// Else nothing could take the place of a damaged deployment.
		m.warn(fmt.Errorf("keeping the kernel arguments of the current image: %w", err))
	}
	return kargs.Next(before, old, system.Kargs, target), nil
}

// withoutDeleted returns a kernel command line without arguments, or all with a key. The
// argument that names the target stays. It is an error if there is nothing to delete.
func withoutDeleted(options string, deletes []string, target deployment.Target) (string, error) {
	line := kcmdline.Parse(options)
	for _, d := range deletes {
		left := slices.DeleteFunc(slices.Clone(line), func(a kcmdline.Arg) bool {
			return (a.String() == d || a.Key == d) && a.String() != target.Karg()
		})
		if len(left) == len(line) {
			return "", fmt.Errorf("cannot delete kernel argument %q: there is none", d)
		}
		line = left
	}
	return line.String(), nil
}

// firstOptions returns the kernel command line of a machine's first deployment, without
// what its image asks for.
func (m *Machine) firstOptions(system *system.System, o Options) string {
	if u := system.Kernel.UKI; u != nil {
		if missing := unnamed(o.RootKargs, kcmdline.Parse(u.Cmdline)); len(missing) > 0 {
			m.warn(fmt.Errorf("the type of the root partition does not identify it, and the command line in the image's %s lacks %s",
				system.Kernel, strings.Join(missing, " ")))
		}
		return u.Cmdline
	}
	named := kcmdline.Parse(strings.Join(append(slices.Clone(o.Kargs), system.Kargs...), " "))
	// The state of the machine is on the physical root: it is mounted
	// writable from the beginning, see prepare-root(8).
	all := append([]string{"rw"}, unnamed(o.RootKargs, named)...)
	return strings.Join(append(all, o.Kargs...), " ")
}

// installedOptions returns the kernel arguments that the installation of the machine added,
// as far as that is on record.
func (m *Machine) installedOptions(system *system.System, o Options) (string, error) {
	current, before, err := m.optionsBefore()
	if err != nil || current == "" && system.Kernel.UKI != nil {
		return "", err
	}
	if current == "" && before == "" {
		return m.firstOptions(system, o), nil
	}
	from, err := m.readOrigin(current)
	return from.Installed, err
}

// unnamed returns the arguments whose keys a command line does not have.
func unnamed(args []string, have kcmdline.Cmdline) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		key, _, _ := strings.Cut(arg, "=")
		_, ok := have.Last(key)
		return ok
	})
}

// optionsBefore returns the deployment that a new one follows with its kernel command
// line, "" if there is none.
func (m *Machine) optionsBefore() (current deployment.ID, options string, err error) {
	if current, err = m.current(); err != nil {
		return "", "", err
	}
	options, err = m.optionsOf(current)
	if err == nil && options == "" && m.Booted != "" {
		options, err = m.runningOptions()
	}
	return current, options, err
}

// optionsOf returns the kernel command line of a deployment, or that which was
// kept for the one after it; "" if there is none.
func (m *Machine) optionsOf(id deployment.ID) (string, error) {
	if id == "" || m.Boot == nil {
		return "", nil
	}
	files, err := m.Boot.Entries()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(files, func(f boot.EntryFile) bool { return f.Target.ID == id && f.Entry.Options != "" })
	if i >= 0 {
		return boot.WithoutTrial(files[i].Entry.Options), nil
	}
	o, err := m.readOrigin(id)
	if err != nil || o.Options != "" {
		return o.Options, err
	}
	i = slices.IndexFunc(files, func(f boot.EntryFile) bool { return f.Target.ID == id && f.Bootable() })
	if i < 0 {
		return "", nil
	}
	return m.ukiOptions(files[i])
}

// runningOptions returns the kernel command line of the running machine, whose entry
// is lost, without what boot loaders add.
func (m *Machine) runningOptions() (string, error) {
	text, err := bounded.ReadFile(m.Running, "proc/cmdline", limits.Kernel)
	if err != nil {
		return "", fmt.Errorf("cannot determine the kernel arguments: deployment %s has no boot entry: %w", m.Booted.Short(), err)
	}
	return boot.WithoutTrial(kcmdline.Parse(string(text)).Without("BOOT_IMAGE").Without("initrd").String()), nil
}

// ukiOptions returns the command line in the unified kernel image of an entry
// that another program made, "" if it has none.
func (m *Machine) ukiOptions(f boot.EntryFile) (string, error) {
	name := f.Entry.UnifiedImage()
	if name == "" {
		return "", nil
	}
	file, err := m.Boot.Open(name)
	if err != nil {
		return "", fmt.Errorf("boot entry %s: %w", f.File, err)
	}
	defer file.Close()
	image, err := uki.Read(file)
	if err != nil {
		return "", fmt.Errorf("boot entry %s: %w", f.File, err)
	}
	return image.Cmdline, nil
}

// kargsOf returns the kernel arguments that the image of a deployment asks
// for.
func (m *Machine) kargsOf(id deployment.ID, architecture string) ([]string, error) {
	tree, err := m.readPart(id, erofs.Paths(kargs.Dir))
	if err != nil {
		return nil, err
	}
	s := system.Of(tree, m.Repository)
	return kargs.Load(s.FS(), architecture)
}

// readImage returns the tree of a deployment's image.
func (m *Machine) readImage(id deployment.ID) (*tree.Node, error) {
	return m.readPart(id, erofs.All)
}

// readPart returns a part of the tree of a deployment's image.
func (m *Machine) readPart(id deployment.ID, part erofs.Part) (*tree.Node, error) {
	tree, err := m.readImageFile(id, part)
	if err != nil {
		return nil, &deployment.DamagedImageError{ID: id, Err: err}
	}
	return tree, nil
}

func (m *Machine) readImageFile(id deployment.ID, part erofs.Part) (*tree.Node, error) {
	file, err := m.Repository.OpenImage(string(id))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return erofs.ReadPart(file, info.Size(), part)
}
