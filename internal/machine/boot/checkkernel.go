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
)

// ErrOtherKernel says that an entry boots files whose digest nobody has written down.
var ErrOtherKernel = errors.New("its files are in no directory that is named by their digest")

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

// FallbackLoader returns what the boot loader calls itself that firmware starts where nobody
// has told it of another one, "" if it does not say.
func (p *Partition) FallbackLoader() (string, error) {
	names, ok := loaderNames[runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("systemd-boot is not known for %s", runtime.GOARCH)
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
	if len(data) < 2 || data[0] != 'M' || data[1] != 'Z' {
		return "", fmt.Errorf("%s is not an EFI program", name)
	}
	_, info, _ := bytes.Cut(data, []byte(loaderMark))
	text, _, _ := bytes.Cut(info[:min(len(info), 64)], []byte(" ####"))
	return string(text), nil
}
