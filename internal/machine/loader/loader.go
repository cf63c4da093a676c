// Package loader installs the boot loader of an image, and later replaces it with a newer one.
// It knows which files of a boot partition are its own: what somebody else has put in the
// place of one of them stays.
package loader

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/grub"
)

// A Loader is the boot loader of an image.
type Loader struct {
	Kind    string // as deployment.Loader has it
	Version string // "" if it does not say
	GRUB    *grub.Loader
	open    func(path string) (io.ReadCloser, error)
	files   []grub.File // for the EFI system partition, in order
}

// Choose returns the kind that an image has, systemd-boot if it has both; "" if it has neither.
// has reports whether there is a file with a path below its root.
func Choose(has func(path string) bool, goarch string) string {
	if boot.FindLoader(has, goarch) == nil {
		return deployment.SystemdBoot
	}
	if grub.Has(has, goarch) {
		return deployment.GRUB
	}
	return ""
}

// Lacks says that an image does not have a boot loader of a kind.
func Lacks(kind string, has func(path string) bool, goarch string) error {
	switch kind {
	case deployment.SystemdBoot:
		return boot.FindLoader(has, goarch)
	case deployment.GRUB:
		if !grub.Has(has, goarch) {
			return grub.ErrNone
		}
	}
	return nil
}

// Find reads the boot loader of a kind from an image, for the architecture of this program.
// open opens a file by its path below the root.
func Find(kind string, open func(path string) (io.ReadCloser, error), goarch string) (Loader, error) {
	l := Loader{Kind: kind, open: open}
	switch kind {
	case deployment.NoLoader:
		return l, nil
	case deployment.SystemdBoot:
		data, version, err := boot.ReadLoader(open)
		if err != nil {
			return l, err
		}
		l.Version = version
		for _, name := range boot.LoaderPaths() {
			l.files = append(l.files, grub.File{Path: name, Content: data})
		}
		return l, nil
	case deployment.GRUB:
		found, err := grub.Find(open, goarch)
		if err != nil {
			return l, err
		}
		l.GRUB, l.Version, l.files = &found, found.Version, found.Files()
		return l, nil
	}
	return l, fmt.Errorf("boot loader %q: want %s", kind, strings.Join(deployment.LoaderKinds, ", "))
}

// Prepare has entries written as the loader needs them, before the first is.
func (l Loader) Prepare(entries *boot.Partition) error {
	switch l.Kind {
	case deployment.GRUB:
		return entries.UseGRUB()
	case deployment.NoLoader:
		entries.NobodyCounts()
	}
	return nil
}

// A FallbackError warns that another program's loader is where firmware looks without being
// told of one.
type FallbackError struct{ Path, Partition, Start string }

func (e *FallbackError) Error() string {
	return fmt.Sprintf("%s on %s is another boot loader, and stays: have the firmware boot %s, such as with efibootmgr --create", e.Path, e.Partition, e.Start)
}

// Install writes the loader to the EFI system partition of a new machine, and what it reads
// beside the entries, which may be on another partition. It returns what was written. What an
// earlier try has written is replaced. The error may be a *FallbackError, with all done but
// what that says.
func (l Loader) Install(esp, entries *boot.Partition, was deployment.Loader) (deployment.Loader, error) {
	record := deployment.Loader{Kind: l.Kind, Version: l.Version}
	switch l.Kind {
	case deployment.NoLoader:
		return record, nil
	case deployment.SystemdBoot:
		return l.installSystemdBoot(esp, was)
	}
	err := l.GRUB.Check(esp)
	if err == nil {
		err = entries.WriteFile(l.GRUB.Config().Path, l.GRUB.Config().Content)
	}
	files, occupied, errFallback := l.free(esp, was)
	err = errors.Join(err, errFallback)
	for _, f := range files {
		if err == nil {
			err = write(esp, f)
		}
		record.Files = append(record.Files, fileOf(f))
	}
	if err != nil {
		return record, fmt.Errorf("cannot install GRUB on %s: %w", esp, err)
	}
	record.Config = fileOf(l.GRUB.Config()).SHA256
	if occupied != "" {
		return record, &FallbackError{occupied, esp.String(), files[len(files)-1].Path}
	}
	return record, nil
}

func (l Loader) installSystemdBoot(esp *boot.Partition, was deployment.Loader) (deployment.Loader, error) {
	record := deployment.Loader{Kind: l.Kind, Version: l.Version}
	files, occupied, err := l.free(esp, was)
	if err != nil {
		return record, err
	}
	if err := esp.InstallLoader(l.open, occupied == ""); err != nil {
		return record, err
	}
	for _, f := range files {
		record.Files = append(record.Files, fileOf(f))
	}
	if occupied != "" {
		return record, &FallbackError{occupied, esp.String(), files[0].Path}
	}
	return record, nil
}

// fallbackDir is where firmware looks if it was told of no loader.
const fallbackDir = "EFI/BOOT"

// free returns the files to write. Where another program has one of those in fallbackDir, none
// of them is: that path is returned.
func (l Loader) free(esp *boot.Partition, was deployment.Loader) (files []grub.File, occupied string, err error) {
	for _, f := range l.files {
		if path.Dir(f.Path) != fallbackDir {
			files = append(files, f)
			continue
		}
		data, found, err := contentOf(esp, f.Path)
		if err != nil {
			return nil, "", err
		}
		if found && !l.replaces(f, data, was) {
			occupied = f.Path
		}
	}
	if occupied != "" {
		return files, occupied, nil
	}
	return l.files, "", nil
}

// replaces reports whether a file takes the place of what is there: an earlier try has written
// that, or both are systemd-boot.
func (l Loader) replaces(f grub.File, data []byte, was deployment.Loader) bool {
	return isOwn(f, data, was) || l.Kind == deployment.SystemdBoot && boot.IsSystemdBoot(data)
}

// isOwn reports whether what is in the place of a file is what this program wrote, or is about
// to.
func isOwn(f grub.File, there []byte, was deployment.Loader) bool {
	return bytes.Equal(there, f.Content) || was.Has(fileOf(grub.File{Path: f.Path, Content: there}))
}

// contentOf returns what is in a file of a partition, and whether there is one.
func contentOf(p *boot.Partition, name string) (data []byte, found bool, err error) {
	data, err = bounded.ReadRoot(p.Root(), name, limits.Loader)
	found, err = bounded.Found(err)
	return data, found, err
}

func write(p *boot.Partition, f grub.File) error {
	if err := p.MakeDir(path.Dir(f.Path)); err != nil {
		return err
	}
	return p.WriteFile(f.Path, f.Content)
}

func fileOf(f grub.File) deployment.LoaderFile {
	sum := sha256.Sum256(f.Content)
	return deployment.LoaderFile{Path: f.Path, SHA256: hex.EncodeToString(sum[:])}
}

// ErrOlder says that a loader is not replaced by an older one.
var ErrOlder = errors.New("the installed loader is newer")

// Update replaces what was installed by this loader, which must be of the same kind and not
// older. It returns what is there then, and the paths of the files that were written. Files
// that are not as they were written stay, with those that start them.
func (l Loader) Update(esp, entries *boot.Partition, was deployment.Loader) (deployment.Loader, []string, error) {
	switch c := bootentry.CompareVersions(l.Version, was.Version); {
	case l.Kind != was.Kind:
		return was, nil, fmt.Errorf("the image has %s, and %s is installed", l.Kind, was.Kind)
	case c < 0:
		return was, nil, fmt.Errorf("%w: %s, and the image has %s", ErrOlder, was.Version, l.Version)
	}
	now := deployment.Loader{Kind: l.Kind, Version: l.Version, BIOS: was.BIOS}
	var changed []string
	if l.GRUB != nil {
		config := l.GRUB.Config()
		if have, found, err := contentOf(entries, config.Path); err != nil || !found || !bytes.Equal(have, config.Content) {
			if err := write(entries, config); err != nil {
				return was, nil, err
			}
			changed = append(changed, config.Path)
		}
		now.Config = fileOf(config).SHA256
	}
	for _, f := range l.files {
		there, found, err := contentOf(esp, f.Path)
		if err != nil {
			return was, changed, err
		}
		if !found || !isOwn(f, there, was) {
			continue
		}
		if !bytes.Equal(there, f.Content) {
			if err := write(esp, f); err != nil {
				return was, changed, err
			}
			changed = append(changed, f.Path)
		}
		now.Files = append(now.Files, fileOf(f))
	}
	return now, changed, nil
}

// Check returns the paths of files that are not as they were written, and says of which the
// loader cannot start.
func Check(esp *boot.Partition, was deployment.Loader) (changed []string, err error) {
	for _, f := range was.Files {
		data, found, errRead := contentOf(esp, f.Path)
		switch {
		case errRead != nil:
			err = errors.Join(err, errRead)
		case !found:
			err = errors.Join(err, fmt.Errorf("there is no %s", f.Path))
		case fileOf(grub.File{Path: f.Path, Content: data}) == f:
		default:
			changed = append(changed, f.Path)
			err = errors.Join(err, checkFile(f.Path, data))
		}
	}
	return changed, err
}

// checkFile says why a file that somebody else has written cannot be what the loader needs.
func checkFile(name string, data []byte) error {
	if !strings.EqualFold(path.Ext(name), ".efi") {
		if len(data) == 0 {
			return fmt.Errorf("%s is empty", name)
		}
		return nil
	}
	if err := uki.CheckProgram(bytes.NewReader(data), int64(len(data)), runtime.GOARCH); err != nil {
		return fmt.Errorf("%s is %w", name, err)
	}
	return nil
}

// CheckConfig says why what GRUB reads beside the entries is not what was written.
func CheckConfig(entries *boot.Partition, was deployment.Loader) error {
	own := grub.Loader{}.Config()
	data, found, err := contentOf(entries, own.Path)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("there is no /%s", own.Path)
	}
	if sum := fileOf(grub.File{Content: data}).SHA256; sum != was.Config && string(data) != string(own.Content) {
		return fmt.Errorf("GRUB would do something else: /%s was changed", own.Path)
	}
	return nil
}
