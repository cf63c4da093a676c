package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/grub"
)

// nameOf returns what people call a system: what its administrator put into /etc comes first.
func nameOf(root *os.Root) string {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		text, err := bounded.ReadRoot(root, name, limits.Text)
		if title := system.ParseRelease(text)["PRETTY_NAME"]; err == nil && title != "" {
			return title
		}
	}
	return "the old system"
}

// espDirs are where systems mount the EFI system partition.
var espDirs = []string{"efi", "boot/efi", "boot"}

// ErrNoESP says that there is nowhere to put kernels.
var ErrNoESP = errors.New("no EFI system partition is mounted at /efi, /boot/efi or /boot: mount it there, or name it")

// findESP finds the EFI system partition of the system, unless it was named.
func (p *ExistingPlan) findESP(root *os.Root) error {
	if p.ESP != "" {
		if info, err := os.Stat(p.ESP); err != nil || !info.IsDir() {
			return errors.Join(err, fmt.Errorf("%s is not a directory", p.ESP))
		}
		return nil
	}
	for _, dir := range espDirs {
		// Where the firmware's file system is mounted, or is a directory of the root, tells the
		// file system itself: a container sees other mounts than the host.
		esp, err := boot.OpenDir(filepath.Join(p.Root, dir))
		if err != nil {
			continue
		}
		isFAT := esp.IsFAT()
		if err := esp.Close(); err != nil {
			return err
		}
		if isFAT {
			p.ESP = filepath.Join(p.Root, dir)
			return nil
		}
	}
	return ErrNoESP
}

// ErrNoLoader says that no boot loader was found that can boot one system beside the other.
var ErrNoLoader = errors.New("neither systemd-boot nor a GRUB was found that could boot the new system")

// findLoader finds the boot loader of the system. It stays, and boots the new one too.
func (p *ExistingPlan) findLoader(root *os.Root, wanted string, warn func(error)) error {
	p.Loader = wanted
	if wanted == deployment.NoLoader {
		return nil
	}
	former, err := grub.FindFormer(root)
	usable := err == nil && former != nil
	if wanted != deployment.GRUB && p.hasSystemdBoot() && !(wanted == "" && usable && p.bootsByGRUB(warn)) {
		p.Loader = deployment.SystemdBoot
		return nil
	}
	if err == nil && former == nil || wanted == deployment.SystemdBoot {
		err = ErrNoLoader
	}
	if err != nil {
		return err
	}
	p.Loader, p.grub, p.Menu = deployment.GRUB, former, former.Custom()
	p.fatID, err = fatIDOf(p.options.Host.Root, p.ESP)
	return err
}

// ErrTwoLoaders warns that it is not known which boot loader the firmware starts.
var ErrTwoLoaders = errors.New("there are both systemd-boot and GRUB, and nothing tells which of them the machine was booted by; taking systemd-boot")

// bootsByGRUB reports whether it was GRUB that has booted the machine, where both loaders are. A
// loader says so in a variable of the firmware: systemd-boot always, GRUB in new versions.
func (p *ExistingPlan) bootsByGRUB(warn func(error)) bool {
	running := p.options.Host.Files
	name, err := bootcount.Text(running, "LoaderInfo")
	if found, _ := bounded.Found(err); found {
		return !strings.HasPrefix(name, deployment.SystemdBoot)
	}
	if _, err := fs.Stat(running, "sys/firmware/efi"); errors.Is(err, fs.ErrNotExist) {
		return true // started by a BIOS, which cannot start the other
	}
	if variables, err := fs.ReadDir(running, "sys/firmware/efi/efivars"); err == nil && len(variables) > 0 {
		return true
	}
	warn(ErrTwoLoaders)
	return false
}

// findOldBoot finds out on which file system GRUB's menu is, if that is another one than the root:
// the new system does not mount it.
func (p *ExistingPlan) findOldBoot(root *os.Root) error {
	if p.grub == nil {
		return nil
	}
	dir, _, _ := strings.Cut(p.Menu, "/")
	separate, err := isSeparate(root, dir)
	if !separate || err != nil {
		return err
	}
	p.OldBoot, err = boot.UUIDAt(p.options.Host.Root, filepath.Join(p.Root, dir))
	return err
}

// isSeparate reports whether another file system is mounted at a directory. A subvolume of btrfs
// has another number than what it is in, too, but is there with it.
func isSeparate(root *os.Root, dir string) (bool, error) {
	var of [2]sys.Stat
	for i, name := range []string{".", dir} {
		f, err := root.Open(name)
		if err != nil {
			return false, err
		}
		of[i], err = sys.Statx(f, "")
		if err = errors.Join(err, f.Close()); err != nil {
			return false, err
		}
	}
	same := of[0].DevMajor == of[1].DevMajor && of[0].DevMinor == of[1].DevMinor
	return of[1].MountRoot && !same, nil
}

// hasSystemdBoot reports whether systemd-boot is on the EFI system partition.
func (p *ExistingPlan) hasSystemdBoot() bool {
	for _, name := range boot.LoaderPaths() {
		data, err := bounded.ReadPath(filepath.Join(p.ESP, name), limits.Loader)
		if err == nil && boot.IsSystemdBoot(data) {
			return true
		}
	}
	return false
}

// fatIDOf returns the number of the FAT file system in a directory.
func fatIDOf(host *os.Root, dir string) (string, error) {
	esp, err := boot.OpenDir(dir)
	if err != nil {
		return "", err
	}
	id, err := esp.FATID(host)
	return id, errors.Join(err, esp.Close())
}

// rootVerity says what becomes of fs-verity on the file system of a system. Asking for the
// digest of a file without one tells what it can do.
func rootVerity(root *os.Root) Verity {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release", "etc/passwd"} {
		f, err := root.Open(name)
		if err != nil {
			continue
		}
		_, err = verity.Measure(f)
		f.Close()
		if err == nil || errors.Is(err, verity.ErrNotEnabled) {
			return VerityNow
		}
	}
	return VerityNever
}

// firstEntry returns the ID of the entry that the boot loader boots now, "" if none is known.
func (p *ExistingPlan) firstEntry() (string, error) {
	esp, err := boot.OpenDir(p.ESP)
	if err != nil {
		return "", err
	}
	choice, err := choiceOn(esp, p.options)
	return choice.ID, errors.Join(err, esp.Close())
}

// choiceOn returns what the boot loader boots from a partition.
func choiceOn(esp *boot.Partition, o ExistingOptions) (boot.Choice, error) {
	files, err := esp.Entries()
	if err != nil {
		return boot.Choice{}, err
	}
	settings, err := esp.Settings(o.Host.Files)
	return settings.Choose(files), err
}

// A NotFirstError warns that the boot loader boots another entry than that of what was
// installed.
type NotFirstError struct{ First, Own string }

func (e *NotFirstError) Error() string {
	return fmt.Sprintf("the boot loader still boots %s", e.First)
}

// warnOfFirst warns if the boot loader boots another entry than a deployment's.
func (p *ExistingPlan) warnOfFirst(esp *boot.Partition, id deployment.ID, warn func(error)) error {
	if p.Loader != deployment.SystemdBoot {
		return nil
	}
	choice, err := choiceOn(esp, p.options)
	if err != nil || choice.Entry.Target.ID == id {
		return err
	}
	files, err := esp.Entries()
	for _, f := range files {
		if f.Target.ID == id {
			warn(&NotFirstError{choice.ID, f.Name.ID()})
			break
		}
	}
	return err
}
