package update

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// ReadKargs returns the kernel arguments of the deployment that name stands for, as for Find;
// "" is the one that a new deployment inherits from. Any user can call it: Hidden says what
// this one could not read.
func ReadKargs(at machine.Place, name string, warn func(error)) (Kargs, error) {
	opened, err := machine.Open(at, machine.ToRead)
	m, err := take(opened, err, warn, func(*Machine) error { return nil })
	if err != nil {
		return Kargs{}, err
	}
	defer m.Close()
	if m.Root == nil {
		return Kargs{}, m.SysrootErr
	}
	if at.Dir == "" && m.Booted == "" {
		return Kargs{}, sysroot.ErrNotBooted
	}
	s := m.State()
	if err := s.Err(); err != nil && !errors.Is(err, fs.ErrPermission) {
		return Kargs{}, err
	}
	id := s.Current()
	if name != "" {
		if id, err = s.Find(name); err != nil {
			return Kargs{}, err
		}
	}
	if id == "" {
		return Kargs{}, cmp.Or(s.Err(), errors.New("there is no deployment"))
	}
	return m.kargs(s, id)
}

// kargs returns the kernel arguments of a deployment, as far as they can be read.
func (m *Machine) kargs(s machine.State, id deployment.ID) (Kargs, error) {
	var hidden []string
	options, err := m.entryOptions(s, id)
	if errors.Is(err, fs.ErrPermission) && m.Running != nil && id == s.Booted {
		hidden = append(hidden, "these are the kernel arguments of this boot; those of the next one are in boot entries, which only root can read")
		options, err = m.runningOptions()
	}
	if err != nil {
		return Kargs{}, err
	}
	o, err := m.readOrigin(id)
	if err != nil {
		return Kargs{}, err
	}
	if o.BootType == deployment.BootUKI {
		return imageKargs(id, options, hidden), nil
	}
	asked, err := m.sourcedKargs(id, o)
	if errors.Is(err, fs.ErrPermission) && m.Running != nil && id == s.Booted {
		asked, err = kargs.LoadSourced(m.Running, runtime.GOARCH) // its /usr is that of the image
	}
	unknown := errors.Is(err, fs.ErrPermission)
	if err != nil && !unknown {
		return Kargs{}, err
	}
	k := sortedKargs(id, kcmdline.Parse(options), asked, kcmdline.Parse(o.Installed))
	if k.Hidden = hidden; unknown {
		k.hideSources()
	}
	return k, nil
}

// hideSources says of arguments that the image may ask for that this is not known.
func (k *Kargs) hideSources() {
	for i, a := range k.List {
		if a.Source == KargMachine {
			k.List[i].Source = KargUnknown
		}
	}
	k.Hidden = append(k.Hidden, "which of them the image asks for is in the repository, which only root can read")
}

// entryOptions returns the kernel command line in the boot entry of a deployment, or in the
// kernel image that it names.
func (m *Machine) entryOptions(s machine.State, id deployment.ID) (string, error) {
	own := slices.DeleteFunc(slices.Clone(s.Files), func(f boot.EntryFile) bool { return f.Target.ID != id || f.Err != nil })
	for _, f := range own {
		if f.Entry.Options != "" {
			return boot.WithoutTrial(f.Entry.Options), nil
		}
	}
	if len(own) > 0 {
		return m.ukiOptions(own[0])
	}
	if err := cmp.Or(m.BootErr, s.Err()); err != nil {
		return "", err
	}
	o, err := m.readOrigin(id)
	if err == nil && o.Options == "" {
		err = fmt.Errorf("deployment %s has no boot entry", id.Short())
	}
	return o.Options, err
}

// imageKargs returns the kernel arguments of a deployment that are in its kernel image.
func imageKargs(id deployment.ID, options string, hidden []string) Kargs {
	k := Kargs{ID: id, List: []Karg{}, Hidden: hidden}
	for _, a := range kcmdline.Parse(options) {
		k.List = append(k.List, Karg{Arg: a.String(), Source: KargImage})
	}
	return k
}

// sourcedKargs returns the kernel arguments that the image of a deployment asks for.
func (m *Machine) sourcedKargs(id deployment.ID, o deployment.Origin) ([]kargs.Sourced, error) {
	if m.Repository == nil {
		return nil, m.RepositoryErr
	}
	tree, err := m.readImage(id)
	if err != nil {
		return nil, err
	}
	architecture := runtime.GOARCH
	if about, err := m.Repository.About(o.ManifestDigest); err == nil && about.Architecture != "" {
		architecture = about.Architecture
	}
	return kargs.LoadSourced(system.Of(tree, m.Repository).FS(), architecture)
}
