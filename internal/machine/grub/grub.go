// Package grub installs GRUB, with the files of an image, so that it boots the entries that
// package boot writes. It hides which files these are, and where each belongs.
package grub

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/grubimage"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// config is GRUB's configuration beside the entries, and stub what leads there from the
// directory that a GRUB for EFI has built in.
var (
	//go:embed grub.cfg
	config []byte
	//go:embed stub.cfg
	stub []byte
)

// mark begins configurations that this package wrote.
const mark = "# Written by sysupdate-image"

// An Open opens a file of an image by its path below the root. The error is fs.ErrNotExist if
// there is none.
type Open func(path string) (io.ReadCloser, error)

// ErrNone says that an image has no GRUB.
var ErrNone = errors.New("the image has no GRUB (Debian's packages: grub-efi-amd64-signed and shim-signed, grub-pc-bin and grub-common for a BIOS)")

// A Loader is the GRUB of an image.
type Loader struct {
	Version string // "" if it does not say
	BIOS    string // version of what a BIOS starts, "" if it starts nothing
	names   names
	efi     *efi
	modules []File // for a BIOS
}

// An efi is what goes to the EFI system partition.
type efi struct {
	grub, shim, manager []byte // the last two are nil if the image has no shim
	dir                 string // of the distributor, such as EFI/debian
}

// names are how UEFI and GRUB call an architecture.
type names struct{ efi, grub string }

var architectures = map[string]names{"amd64": {"x64", "x86_64-efi"}, "arm64": {"aa64", "arm64-efi"}}

// Find reads the GRUB of an image for an architecture as Go spells it.
func Find(open Open, goarch string) (Loader, error) {
	n, ok := architectures[goarch]
	l := Loader{names: n}
	if !ok {
		return l, fmt.Errorf("GRUB is not supported on %s", goarch)
	}
	program, err := readFirst(open, grubPaths(n))
	if err != nil {
		return l, err
	}
	if program != nil {
		if l.efi, l.Version, err = findEFI(open, n, program); err != nil {
			return l, err
		}
	}
	if goarch == "amd64" {
		if l.BIOS, err = biosVersion(open); err != nil {
			return l, err
		}
		if l.BIOS != "" {
			if l.modules, err = readBIOS(open); err != nil {
				return l, err
			}
		}
		l.Version = cmp.Or(l.Version, l.BIOS)
	}
	if l.efi == nil && l.BIOS == "" {
		return l, ErrNone
	}
	return l, nil
}

// EFI reports whether it starts from EFI.
func (l Loader) EFI() bool { return l.efi != nil }

// grubPaths are where distributors have a GRUB for EFI with all of its modules, signed first.
func grubPaths(n names) []string {
	return []string{
		"usr/lib/grub/" + n.grub + "-signed/grub" + n.efi + ".efi.signed",
		"usr/lib/grub/" + n.grub + "/monolithic/grub" + n.efi + ".efi",
		"usr/lib/bootupd/updates/EFI/fedora/grub" + n.efi + ".efi",
		"usr/lib/bootupd/updates/EFI/centos/grub" + n.efi + ".efi",
		"boot/efi/EFI/fedora/grub" + n.efi + ".efi",
		"boot/efi/EFI/centos/grub" + n.efi + ".efi",
		"usr/share/efi/" + strings.TrimSuffix(n.grub, "-efi") + "/grub.efi",
	}
}

// shimPaths are where a program of shim is: in Debian's directory, or beside GRUB.
func shimPaths(n names, name string) []string {
	file := name + n.efi + ".efi"
	return []string{
		"usr/lib/shim/" + file + ".signed", "usr/lib/shim/" + file,
		"usr/lib/bootupd/updates/EFI/fedora/" + file, "usr/lib/bootupd/updates/EFI/centos/" + file,
		"boot/efi/EFI/fedora/" + file, "boot/efi/EFI/centos/" + file,
	}
}

func findEFI(open Open, n names, program []byte) (*efi, string, error) {
	read, err := grubimage.Read(bytes.NewReader(program), int64(len(program)))
	if err != nil {
		return nil, "", fmt.Errorf("cannot use the image's GRUB: %w", err)
	}
	e := &efi{grub: program, dir: strings.TrimPrefix(path.Clean("/"+read.Prefix), "/")}
	if parent, base := path.Split(e.dir); !strings.EqualFold(parent, "EFI/") || strings.EqualFold(base, "BOOT") || base == "" {
		return nil, "", fmt.Errorf("cannot use the image's GRUB: it looks for its configuration in %q, and not in a directory of EFI", read.Prefix)
	}
	if e.shim, err = readFirst(open, shimPaths(n, "shim")); err != nil {
		return nil, "", err
	}
	if e.shim != nil {
		if e.manager, err = readFirst(open, shimPaths(n, "mm")); err != nil {
			return nil, "", err
		}
	}
	return e, read.Version, nil
}

// readFirst reads the first file that there is, nil if there is none.
func readFirst(open Open, paths []string) ([]byte, error) {
	for _, name := range paths {
		f, err := open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		data, err := bounded.ReadAll(f, limits.Loader)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("/%s in the image: %w", name, err)
		}
		return data, nil
	}
	return nil, nil
}

// A File is what is to be on a boot partition.
type File struct {
	Path    string
	Content []byte
}

// Files returns what goes to the EFI system partition, in the order in which it is written:
// what starts another program comes after that.
func (l Loader) Files() []File {
	if l.efi == nil {
		return nil
	}
	e, n := l.efi, l.names
	first := "grub"
	if e.shim != nil {
		first = "shim"
	}
	all := []File{{e.dir + "/grub.cfg", stub}}
	all = append(all, e.in(e.dir, first+n.efi+".efi", n)...)
	return append(all, e.in("EFI/BOOT", "BOOT"+strings.ToUpper(n.efi)+".EFI", n)...)
}

// in returns the programs for a directory, in which the firmware starts the one called first.
func (e *efi) in(dir, first string, n names) []File {
	if e.shim == nil {
		return []File{{dir + "/" + first, e.grub}}
	}
	all := []File{{dir + "/grub" + n.efi + ".efi", e.grub}}
	if e.manager != nil {
		all = append(all, File{dir + "/mm" + n.efi + ".efi", e.manager})
	}
	return append(all, File{dir + "/" + first, e.shim})
}

// Config returns GRUB's configuration, which is beside the entries.
func (l Loader) Config() File { return File{boot.GRUBConfig, config} }

// ErrOthers says that another system has its GRUB on the EFI system partition.
var ErrOthers = errors.New("it belongs to another system's GRUB")

// Check refuses to replace the configuration of another system.
func (l Loader) Check(esp *boot.Partition) error {
	if l.efi == nil {
		return nil
	}
	name := l.efi.dir + "/grub.cfg"
	data, err := bounded.ReadRoot(esp.Root(), name, limits.Text)
	if found, err := bounded.Found(err); !found || err != nil {
		return err
	}
	if !bytes.HasPrefix(data, []byte(mark)) {
		return fmt.Errorf("%s was not written by this program: %w", name, ErrOthers)
	}
	return nil
}

// Has reports whether an image has a GRUB for an architecture. has reports whether there is a
// file with a path below its root.
func Has(has func(path string) bool, goarch string) bool {
	return HasEFI(has, goarch) || HasBIOS(has, goarch)
}

// HasEFI reports whether an image has a GRUB that UEFI starts.
func HasEFI(has func(path string) bool, goarch string) bool {
	n, ok := architectures[goarch]
	return ok && slices.ContainsFunc(grubPaths(n), has)
}

// HasBIOS reports whether an image has what a GRUB is made of that a BIOS starts.
func HasBIOS(has func(path string) bool, goarch string) bool {
	return goarch == "amd64" && has(BIOSDir+"/boot.img")
}
