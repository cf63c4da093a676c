package boot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoaderDir is where an image has systemd-boot, below its root.
const LoaderDir = "usr/lib/systemd/boot/efi"

// loaderNames are the names that UEFI has for architectures, by Go's.
var loaderNames = map[string]loaderName{
	"amd64": {"systemd-bootx64.efi", "BOOTX64.EFI"},
	"arm64": {"systemd-bootaa64.efi", "BOOTAA64.EFI"},
}

type loaderName struct{ image, fallback string }

// loaderMark is what systemd-boot has in it, followed by its version.
const loaderMark = "#### LoaderInfo: "

// firstWithReboot is the version of systemd-boot that knows reboot-on-error.
const firstWithReboot = 258

// loaderConf returns loader.conf(5) where there is none. If an entry on trial cannot be started
// the machine is to reboot, so that its other tries are used up too. A good one is left to the
// firmware: it would be started for ever.
func loaderConf(loader []byte) []byte {
	const common = "timeout 3\n"
	_, info, _ := bytes.Cut(loader, []byte(loaderMark))
	if versionOfLoader(string(info[:min(len(info), 64)])) >= firstWithReboot {
		return []byte(common + "reboot-on-error auto\n")
	}
	return []byte(common)
}

// InstallLoader puts the image's systemd-boot on the EFI system partition, both
// under its own name and under the one that firmware looks for where nobody
// told it about a loader, and a loader.conf if there is none. open opens a file
// of the image by its path below the root. A loader that is there is replaced, under the latter
// only with fallback.
func (p *Partition) InstallLoader(open func(path string) (io.ReadCloser, error), fallback bool) error {
	if err := p.installLoader(open, runtime.GOARCH, fallback); err != nil {
		return fmt.Errorf("cannot install boot loader on %s: %w", p, p.explain(err))
	}
	return nil
}

func (p *Partition) installLoader(open func(string) (io.ReadCloser, error), goarch string, fallback bool) error {
	names, loader, err := loaderOf(open, goarch)
	if err != nil {
		return err
	}
	if err := p.makeLoaderDirs(); err != nil {
		return err
	}
	all := []string{"EFI/systemd/" + names.image}
	if fallback {
		all = append(all, "EFI/BOOT/"+names.fallback)
	}
	for _, name := range all {
		if err := durable.WriteFile(p.fs, name, loader); err != nil {
			return err
		}
	}
	if found, err := p.exists(loaderConfFile); found || err != nil {
		return err
	}
	return durable.WriteFile(p.fs, loaderConfFile, loaderConf(loader))
}

// LoaderPaths are where InstallLoader puts systemd-boot, for the architecture of this program.
func LoaderPaths() []string {
	names := loaderNames[runtime.GOARCH]
	return []string{"EFI/systemd/" + names.image, "EFI/BOOT/" + names.fallback}
}

// ReadLoader returns the image's systemd-boot and its version, "" if it does not say.
func ReadLoader(open func(path string) (io.ReadCloser, error)) (loader []byte, version string, err error) {
	if _, loader, err = loaderOf(open, runtime.GOARCH); err != nil {
		return nil, "", err
	}
	return loader, strings.TrimPrefix(loaderInfo(loader), "systemd-boot "), nil
}

// IsSystemdBoot reports whether a program is a systemd-boot.
func IsSystemdBoot(program []byte) bool { return loaderInfo(program) != "" }

// loaderInfo returns what a systemd-boot calls itself, "" if it does not say.
func loaderInfo(loader []byte) string {
	_, info, _ := bytes.Cut(loader, []byte(loaderMark))
	text, _, _ := bytes.Cut(info[:min(len(info), 64)], []byte(" ####"))
	return string(text)
}

// FindLoader says that an image has no systemd-boot to install. has reports whether there is a
// file with a path below its root.
func FindLoader(has func(path string) bool, goarch string) error {
	names, ok := loaderNames[goarch]
	if !ok {
		return fmt.Errorf("systemd-boot is not supported on %s", goarch)
	}
	name := LoaderDir + "/" + names.image
	if !has(name) && !has(name+".signed") {
		return noLoader(names.image)
	}
	return nil
}

func noLoader(name string) error {
	return fmt.Errorf("the image has no %s/%s (package systemd-boot)", LoaderDir, name)
}

// loaderOf returns the image's loader for an architecture, and its names.
func loaderOf(open func(string) (io.ReadCloser, error), goarch string) (loaderName, []byte, error) {
	names, ok := loaderNames[goarch]
	if !ok {
		return names, nil, fmt.Errorf("systemd-boot is not supported on %s", goarch)
	}
	loader, err := readLoader(open, names.image)
	return names, loader, err
}

// makeLoaderDirs durably creates the directories of the loader.
func (p *Partition) makeLoaderDirs() error {
	if err := p.moveDirsOnce("EFI", []string{"systemd", "BOOT"}); err != nil {
		return err
	}
	for _, dir := range []string{"EFI/systemd", "EFI/BOOT"} {
		if err := p.moveDirsOnce(dir, nil); err != nil {
			return err
		}
	}
	if err := p.makeDirs(); err != nil {
		return err
	}
	return p.sync()
}

// moveDirsOnce is moveDirs for what is missing.
func (p *Partition) moveDirsOnce(name string, below []string) error {
	if found, err := p.exists(name); found || err != nil {
		return err
	}
	return p.moveDirs(name, below)
}

// readLoader reads the loader, or the one that its distributor signed for
// Secure Boot if the image has that too.
func readLoader(open func(string) (io.ReadCloser, error), name string) ([]byte, error) {
	f, err := open(LoaderDir + "/" + name + ".signed")
	if errors.Is(err, fs.ErrNotExist) {
		f, err = open(LoaderDir + "/" + name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noLoader(name)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, limits.Loader)
	switch {
	case err != nil:
		return nil, err
	case len(data) < 2 || data[0] != 'M' || data[1] != 'Z':
		return nil, fmt.Errorf("%s is not an EFI program", name)
	}
	return data, nil
}
