package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki"
)

// ErrOtherKernel says that an entry boots files whose digest nobody has written down.
var ErrOtherKernel = errors.New("its files are not in a directory named after their digest")

// CheckKernel reads the files that an entry boots, and compares them with the digest that
// is the name of their directory.
func (p *Partition) CheckKernel(ctx context.Context, e bootentry.Entry) error {
	files := e.Kernel()
	if len(files) == 0 || !IsInKernel(files[0]) {
		return ErrOtherKernel
	}
	dir := path.Dir(Relative(files[0]))
	want := strings.TrimPrefix(path.Base(dir), bootcPrefix)
	names, err := p.partNames(e, dir)
	if err != nil {
		return err
	}
	var parts []part
	for i, name := range names {
		f, err := p.root.Open(dir + "/" + name)
		if err != nil {
			return err
		}
		defer f.Close()
		parts = append(parts, part{name: name, named: i > 0 && name != initrdFile, content: f})
	}
	k, err := newKernel(ctx, parts)
	if err != nil {
		return err
	}
	if k.digest != want {
		return fmt.Errorf("%s is damaged: its files have the digest %s", dir, k.digest)
	}
	return nil
}

// partNames returns the names of an entry's files below their directory, in the order in
// which they are hashed.
func (p *Partition) partNames(e bootentry.Entry, dir string) ([]string, error) {
	if uki := Relative(e.UnifiedImage()); e.UnifiedImage() != "" {
		names := []string{path.Base(uki)}
		extras := bootentry.ExtrasOf(path.Base(uki))
		list, err := fs.ReadDir(p.root.FS(), dir+"/"+extras)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range list {
			names = append(names, extras+"/"+entry.Name())
		}
		return names, nil
	}
	names := []string{linuxFile, initrdFile}
	if tree, ok := cutDir(Relative(e.DeviceTree()), dir); ok {
		names = append(names, tree)
	}
	return names, nil
}

// CheckArchitecture says whether the boot loader leaves out an entry since it is for another
// architecture, by UEFI's name for that.
func CheckArchitecture(e bootentry.Entry) error {
	own := strings.TrimSuffix(strings.TrimPrefix(loaderNames[runtime.GOARCH].fallback, "BOOT"), ".EFI")
	if e.Architecture != "" && own != "" && !strings.EqualFold(e.Architecture, own) {
		return fmt.Errorf("it is for another architecture: %s", e.Architecture)
	}
	return nil
}

// Cmdline returns the kernel arguments of an entry: of a unified kernel image, those that
// the image and its addons have.
func (p *Partition) Cmdline(e bootentry.Entry) (string, error) {
	image := Relative(e.UnifiedImage())
	if e.UnifiedImage() == "" {
		return e.Options, nil
	}
	read := func(name string, parse func(io.ReaderAt) (*uki.Image, error)) (string, error) {
		f, err := p.root.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		img, err := parse(f)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		return img.Cmdline, nil
	}
	cmdline, err := read(image, uki.Read)
	if err != nil {
		return "", err
	}
	extras := path.Join(path.Dir(image), bootentry.ExtrasOf(path.Base(image)))
	addons, err := fs.Glob(p.root.FS(), extras+"/*.addon.efi")
	for _, name := range addons {
		more, addonErr := read(name, uki.ReadAddon)
		cmdline, err = cmdline+" "+more, errors.Join(err, addonErr)
	}
	return cmdline, err
}

// FallbackLoader returns what the boot loader calls itself that firmware starts where nobody
// has told it of another one, "" if it does not say.
func (p *Partition) FallbackLoader() (string, error) {
	names, ok := loaderNames[runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("systemd-boot is not supported on %s", runtime.GOARCH)
	}
	name := "EFI/BOOT/" + names.fallback
	f, err := p.root.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("there is no %s", name)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := bounded.ReadAll(io.Reader(f), limits.Loader)
	if err != nil {
		return "", err
	}
	if err := uki.CheckProgram(bytes.NewReader(data), int64(len(data)), runtime.GOARCH); err != nil {
		return "", fmt.Errorf("%s is %w", name, err)
	}
	return loaderInfo(data), nil
}
