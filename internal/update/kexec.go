package update

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/kexec"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A KexecError reports that an image was not deployed since the running kernel cannot start
// its kernel.
type KexecError struct{ Err error }

func (e *KexecError) Error() string {
	return "the running kernel cannot start the image's kernel: " + e.Err.Error()
}
func (e *KexecError) Unwrap() error { return e.Err }

// tryKexec finds out whether the running kernel starts the candidate's, by loading and
// forgetting it: whether it trusts its signature, nothing else tells. That it does not is an
// error if it must.
func (m *Machine) tryKexec(c candidate, wish Wish) (*Possibility, error) {
	err := m.try(c)
	if err != nil && wish == IfPossibleOrFail {
		return nil, &KexecError{err}
	}
	if err != nil {
		return &Possibility{Why: err.Error()}, nil
	}
	return &Possibility{Possible: true}, nil
}

func (m *Machine) try(c candidate) error {
	if why := kexec.Disabled(m.Running); why != "" {
		return errors.New(why)
	}
	load := func(k kexec.Kernel) error {
		if err := kexec.Load(m.Running, k); err != nil {
			return err
		}
		return kexec.Unload()
	}
	if u := c.Kernel.UKI; u != nil {
		f, err := c.Open(u.Node)
		if err != nil {
			return err
		}
		defer f.Close()
		return loadUKI(f, "", load)
	}
	return c.withKernel(func(linux, initrd io.ReadSeeker, further []boot.File) error {
		if len(further) > 0 {
			return errDeviceTree
		}
		return load(kexec.Kernel{Linux: linux, Initrds: []io.Reader{initrd}, Cmdline: c.options})
	})
}

// planKexec says what can be told of kexec without loading a kernel.
func (m *Machine) planKexec(wish Wish) (*Possibility, error) {
	why := kexec.Disabled(m.Running)
	if why != "" && wish == IfPossibleOrFail {
		return nil, &KexecError{errors.New(why)}
	}
	return &Possibility{Possible: why == "", Why: why}, nil
}

// errLocked reports that a deployment cannot be booted by kexec, as finalize does not make it
// ready.
var errLocked = errors.New("it is staged but locked: no reboot boots it")

// errDeviceTree reports what no kernel takes over from a boot entry: it hands on its own.
var errDeviceTree = errors.New("its boot entry has a device tree, which only the boot loader hands to a kernel")

// loadKexec loads the kernel of the deployment that boots next, with the arguments of its
// boot entry.
func (m *Machine) loadKexec(id deployment.ID) error {
	s, err := m.readState()
	if err != nil {
		return err
	}
	if s.Staged != nil && s.Staged.ID == id && s.Staged.FinalizationLocked {
		return errLocked
	}
	of := func(f boot.EntryFile) bool {
		return f.Target.ID == id && f.Err == nil && (s.Staged == nil || s.Staged.ID != id || serves(f, *s.Staged))
	}
	i := slices.IndexFunc(s.Files, of)
	if i < 0 {
		return boot.ErrNoEntry
	}
	return m.loadEntry(s.Files[i].Entry)
}

// loadEntry loads what a boot entry boots.
func (m *Machine) loadEntry(e bootentry.Entry) error {
	load := func(k kexec.Kernel) error { return kexec.Load(m.Running, k) }
	if !e.IsKernel() {
		return m.loadUKIEntry(e, load)
	}
	if len(e.Kernel()) > 1+len(e.Initrds) {
		return errDeviceTree
	}
	linux, err := m.Boot.Open(e.Linux)
	if err != nil {
		return err
	}
	defer linux.Close()
	var initrds []io.Reader
	for _, name := range e.Initrds {
		initrd, err := m.Boot.Open(name)
		if err != nil {
			return err
		}
		defer initrd.Close()
		initrds = append(initrds, initrd)
	}
	return load(kexec.Kernel{Linux: linux, Initrds: initrds, Cmdline: e.Options})
}

// loadUKIEntry loads what is in the unified kernel image of a boot entry, with the command
// lines of its addons.
func (m *Machine) loadUKIEntry(e bootentry.Entry, load func(kexec.Kernel) error) error {
	name := e.UnifiedImage()
	f, err := m.Boot.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	addons, err := m.addonCmdlines(boot.Relative(bootentry.ExtrasOf(name)))
	if err != nil {
		return err
	}
	return loadUKI(f, addons, load)
}

// loadUKI has load load the parts of a unified kernel image.
func loadUKI(f io.ReaderAt, addons string, load func(kexec.Kernel) error) error {
	image, err := uki.Read(f)
	if err != nil {
		return err
	}
	if image.Initrd() == nil {
		return errors.New("it has no initramfs")
	}
	return load(kexec.Kernel{
		Linux: image.Linux(), Initrds: []io.Reader{image.Initrd()}, Cmdline: strings.TrimSpace(image.Cmdline + " " + addons),
	})
}

// addonCmdlines returns the command lines of the addons in a directory of the boot partition,
// in the order of systemd-stub(7). Other extras need systemd-stub, which kexec leaves out.
func (m *Machine) addonCmdlines(dir string) (string, error) {
	list, err := fs.ReadDir(m.Boot.Root().FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var all []string
	for _, d := range list {
		if !bootentry.IsExtra(d.Name()) {
			continue
		}
		if !strings.HasSuffix(d.Name(), ".efi") {
			return "", fmt.Errorf("%s beside its unified kernel image needs the boot loader", d.Name())
		}
		f, err := m.Boot.Root().Open(path.Join(dir, d.Name()))
		if err != nil {
			return "", err
		}
		addon, err := readAddon(f)
		if err != nil {
			return "", fmt.Errorf("%s: %w", d.Name(), err)
		}
		all = append(all, addon.Cmdline)
	}
	return strings.Join(all, " "), err
}

func readAddon(f *os.File) (*uki.Image, error) {
	defer f.Close()
	return uki.ReadAddon(f)
}
