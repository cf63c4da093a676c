// Package install installs an image on new file systems, from which a machine then boots.
// It hides what a physical root and an EFI system partition need before the first
// deployment.
package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/image/installconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/loader"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// Options say what to install where.
type Options struct {
	Host   machine.Host
	Root   string      // where the new root file system is mounted
	ESP    string      // where the EFI system partition is mounted
	Image  string      // reference of the image
	Track  string      // reference to follow for updates; empty means Image
	Kargs  []string    // more kernel arguments
	Delete []string    // kernel arguments, or keys, that the image would add
	Source oci.Options // how to read the image
	Reuse  []string    // repositories from which layers are taken instead of being fetched
	Keys   string      // file with root's SSH keys; "" for none
	Loader string      // kind of boot loader; "" for what the image wants or has
	// BlockSetup is how file systems are put on a disk; "" for what the image wants.
	BlockSetup string
	// IgnoreConfig takes no settings from the image: its layers are read only once then.
	IgnoreConfig bool

	keys []byte // the content of Keys
	bios bool   // a BIOS is to start GRUB, too
}

// ErrNotEmpty says that there is something on the root file system.
var ErrNotEmpty = errors.New("is not empty: install on a new file system")

// allowed are the names that a new root file system may have: what mkfs makes,
// and where partitions for it are mounted.
var allowed = []string{"lost+found", "boot", "efi"}

// ToFilesystem installs an image. What an earlier try left behind is used.
func ToFilesystem(ctx context.Context, o Options, r update.Reporter, warn func(error)) (update.Result, error) {
	if err := o.complete(); err != nil {
		return update.Result{}, err
	}
	if err := checkRoot(o.Root); err != nil {
		return update.Result{}, err
	}
	m, err := update.OpenNew(machine.Place{Host: o.Host, Dir: o.Root}, o.ESP, warn)
	if err != nil {
		return update.Result{}, err
	}
	defer m.Close()
	early := func(error) {} // it warns again once the loader is known
	if o.Loader != "" {
		early = warn
	}
	root, err := findRoot(o, early)
	if err != nil {
		return update.Result{}, fmt.Errorf("cannot install: %w", err)
	}
	result, l, err := o.deploy(ctx, m, root, m.Boot, r, warn)
	if err == nil && l.GRUB != nil && !l.GRUB.EFI() {
		err = errOnlyBIOS
	}
	return result, err
}

// errOnlyBIOS says that nothing starts what was installed.
var errOnlyBIOS = errors.New("the image's GRUB starts from a BIOS only: install with to-disk, which writes what starts it")

// complete reads the SSH keys, checks the reference to follow, and writes it as origins have
// it.
func (o *Options) complete() (err error) {
	if o.keys, err = RootKeys(o.Keys); err != nil || o.Track == "" {
		return err
	}
	ref, err := oci.ParseReference(o.Track)
	if err != nil {
		return err
	}
	o.Track = ref.Origin()
	return nil
}

// deploy makes the image the first deployment of a machine, and installs its boot loader on
// the EFI system partition. Root are the arguments by which the initramfs finds the root.
func (o Options) deploy(ctx context.Context, m *update.Machine, root []string, esp *boot.Partition, r update.Reporter, warn func(error)) (update.Result, loader.Loader, error) {
	apply := o.apply(root)
	if o.Loader == "" {
		apply.Settle = func(s *system.System, u *update.Options) error { return o.settleLoader(m, s, u, warn) }
	} else if err := m.PrepareLoader(o.Loader); err != nil {
		return update.Result{}, loader.Loader{}, err
	}
	result, err := m.Apply(ctx, apply, r)
	if err == nil && o.Loader == "" { // nothing had to be settled: the image is there already
		o.Loader, err = wantedLoader(m, result.ID)
	}
	if err != nil {
		return update.Result{}, loader.Loader{}, err
	}
	if o.Source.PolicyFile != "" {
		warn(errors.New("the new machine will check its updates by " + o.Source.PolicyFile + ": copy it there, with the keys that it names"))
	}
	warnOfLoader(o.Loader, warn)
	if o.Loader != deployment.NoLoader {
		r.Step("Installing the boot loader")
	}
	l, err := m.InstallLoader(result.ID, o.Loader, esp, o.bios)
	return result, l, err
}

// apply returns the options by which the image becomes the first deployment.
func (o Options) apply(root []string) update.Options {
	return update.Options{
		Reference: o.Image, Track: o.Track, Kargs: o.Kargs, KargDeletes: o.Delete, RootKargs: root, Source: o.Source, Reuse: o.Reuse, Loader: o.Loader, RootKeys: o.keys,
	}
}

// settleLoader finds out which boot loader an image wants or has, and by which arguments the root
// is found with it.
func (o *Options) settleLoader(m *update.Machine, s *system.System, u *update.Options, warn func(error)) (err error) {
	if o.Loader, err = loaderIn(s); err != nil {
		return err
	}
	u.Loader = o.Loader
	if u.RootKargs, err = findRoot(*o, warn); err != nil {
		return fmt.Errorf("cannot install: %w", err)
	}
	return m.PrepareLoader(o.Loader)
}

// loaderIn returns the kind of boot loader that an image wants, or else has.
func loaderIn(s *system.System) (string, error) {
	config, err := installconfig.Load(tree.FollowingFS(s.Tree, func(n *tree.Node) (io.ReadCloser, error) { return s.Open(n) }), runtime.GOARCH)
	if err != nil {
		return "", err
	}
	return loaderOf("", config, func(path string) bool { return s.Tree.Lookup(path) != nil }, runtime.GOARCH)
}

// wantedLoader is loaderIn for a deployment.
func wantedLoader(m *update.Machine, id deployment.ID) (string, error) {
	s, err := m.SystemOf(id)
	if err != nil {
		return "", err
	}
	return loaderIn(s)
}

// leftKargs returns kernel arguments without those that are to be left out.
func (o Options) leftKargs(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(a string) bool {
		key, _, _ := strings.Cut(a, "=")
		return slices.Contains(o.Delete, a) || slices.Contains(o.Delete, key)
	})
}

// A RootDoubtError warns that an initramfs may not find the root file system.
type RootDoubtError struct{ Why string }

func (e *RootDoubtError) Error() string { return e.Why + "; the machine may not find its root" }

// findRoot returns the kernel arguments by which the initramfs finds the root file
// system, unless it is named.
func findRoot(o Options, warn func(error)) ([]string, error) {
	arch := cmp.Or(o.Source.Architecture, runtime.GOARCH)
	if o.Loader != deployment.SystemdBoot {
		arch = "" // no other says from which disk it came, where systemd then looks for a root by its type
	}
	found, err := boot.FindRoot(o.Host.Root, o.Root, o.ESP, arch)
	if _, named := kcmdline.Parse(strings.Join(o.Kargs, " ")).Last("root"); named {
		return slices.DeleteFunc(found.Args, func(a string) bool { return strings.HasPrefix(a, "root=") }), nil
	}
	if err == nil && found.Doubt != "" {
		warn(&RootDoubtError{found.Doubt})
	}
	return found.Args, err
}

// checkRoot reports whether an image can be installed on the file system at dir:
// nothing is on it but what mkfs made, or an installation that was begun.
func checkRoot(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot install: %w", err)
	}
	defer root.Close()
	list, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("cannot install: %w", err)
	}
	if _, err := root.Lstat(deployment.RepositoryDir); err == nil {
		return nil // a second try, or a second system beside the first
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot install: %w", err)
	}
	for _, d := range list {
		if !slices.Contains(allowed, d.Name()) {
			return fmt.Errorf("cannot install: %s %w", dir, ErrNotEmpty)
		}
	}
	return nil
}
