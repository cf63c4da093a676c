package boot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/discoverable"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
)

// A Root tells how an initramfs finds a root file system.
type Root struct {
	// Args are the kernel arguments that it needs, none where it finds the
	// file system by the type of its partition.
	Args []string
	// Doubt is why it may not find it all the same, "" if nothing is known.
	Doubt string
}

// ErrRootUnknown reports that nothing is known by which a root could be found.
var ErrRootUnknown = errors.New("cannot tell how an initramfs would find the root file system")

// FindRoot tells how an initramfs for an architecture finds the file system that is
// mounted at root, on a machine that boots from the EFI system partition mounted at
// esp. Host is the root directory of the running system.
func FindRoot(host *os.Root, root, esp, arch string) (Root, error) {
	for _, dir := range []*string{&root, &esp} {
		abs, err := filepath.Abs(*dir)
		if err == nil {
			abs, err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return Root{}, err
		}
		*dir = abs
	}
	return machine{root: host}.findRoot(root, esp, arch)
}

func (m machine) findRoot(root, esp, arch string) (Root, error) {
	mount, ok, err := m.mountAt(root)
	if err != nil {
		return Root{}, err
	}
	if !ok {
		return Root{Doubt: fmt.Sprintf("%s is not a mount point but a directory of another file system", root)}, nil
	}
	btrfs := mount.Type == "btrfs"
	if mount.Root != "/" && !btrfs {
		return Root{Doubt: fmt.Sprintf("only the directory %s of a file system is mounted at %s", mount.Root, root)}, nil
	}
	device, err := m.deviceOf(mount)
	if errors.Is(err, errNoDevice) {
		return Root{Doubt: fmt.Sprintf("%s is a %s file system without a block device", root, mount.Type)}, nil
	}
	if err != nil {
		return Root{}, fmt.Errorf("%w: %w", ErrRootUnknown, err)
	}
	lower, err := m.beneath(device, 0)
	if err != nil {
		return Root{}, fmt.Errorf("%w: %w", ErrRootUnknown, err)
	}
	if !btrfs && m.discoverable(device, lower, esp, arch) {
		return Root{}, nil
	}
	uuid, err := m.uuidOf(device)
	if err != nil {
		return Root{}, fmt.Errorf("%w: %w", ErrRootUnknown, err)
	}
	found := Root{Args: []string{"root=UUID=" + uuid}}
	if btrfs {
		found.Args = append(found.Args, "rootflags="+subvolume(mount))
	}
	if !slices.Equal(lower, []string{device}) {
		found.Doubt = fmt.Sprintf("%s consists of %s: the initramfs must assemble it, and may need more kernel arguments, such as rd.luks.uuid=, rd.lvm.lv= or rd.md.uuid=",
			m.deviceName(device), strings.Join(lower, ", "))
	}
	return found, nil
}

// mountAt returns the mount whose mount point is a directory.
func (m machine) mountAt(dir string) (mountplan.Mounted, bool, error) {
	mounts, err := m.mounts()
	if err != nil {
		return mountplan.Mounted{}, false, err
	}
	mount, ok := mountplan.At(mounts, dir)
	return mount, ok, nil
}

// subvolume returns the mount option for the subvolume of btrfs that is mounted. The
// default one, which is mounted without it, may be another one, now or later.
func subvolume(mount mountplan.Mounted) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/@._+-", r)
	}
	if id, ok := mount.Option("subvolid"); ok && strings.TrimFunc(mount.Root, plain) != "" {
		return "subvolid=" + id
	}
	if mount.Root == "/" {
		return "subvol=/"
	}
	return "subvol=" + strings.TrimPrefix(mount.Root, "/")
}

// discoverable reports whether systemd-gpt-auto-generator(8) finds a root file system: on
// the disk of the EFI system partition, in a partition of the right type, which may be
// encrypted. What is not known is not so.
func (m machine) discoverable(device string, lower []string, esp, arch string) bool {
	boot, ok, err := m.mountAt(esp)
	if err != nil || !ok {
		return false
	}
	loader, err := m.deviceOf(boot)
	return err == nil && m.discoverableFrom(loader, device, lower, arch)
}

// discoverableFrom is discoverable for the EFI system partition on a block device.
func (m machine) discoverableFrom(loader, device string, lower []string, arch string) bool {
	if len(lower) != 1 || lower[0] != device && !m.isCrypt(device) {
		return false
	}
	disk, err := m.diskOf(loader)
	if other, errOther := m.diskOf(lower[0]); err != nil || errOther != nil || disk != other {
		return false
	}
	parts, err := m.partitions(disk)
	if err != nil {
		return false
	}
	want := discoverable.RootType(arch)
	ofType := func(b blockDevice) bool { return want != "" && b.kind == want }
	first := slices.IndexFunc(parts, ofType)
	// Which of several it takes is not known here.
	return first >= 0 && parts[first].name == lower[0] && !slices.ContainsFunc(parts[first+1:], ofType)
}

// isCrypt reports whether a device is a LUKS volume that is open.
func (m machine) isCrypt(device string) bool {
	uuid, err := m.read("sys/class/block", device, "dm/uuid")
	return err == nil && strings.HasPrefix(string(uuid), "CRYPT-LUKS")
}

// deviceName returns what people call a block device.
func (m machine) deviceName(device string) string {
	if name, err := m.read("sys/class/block", device, "dm/name"); err == nil {
		return "/dev/mapper/" + strings.TrimSpace(string(name))
	}
	return "/dev/" + device
}

// FATID returns the number of the FAT file system that a partition is, as GRUB finds it by.
// Host is the root directory of the running system.
func (p *Partition) FATID(host *os.Root) (string, error) {
	if !p.fat {
		return "", fmt.Errorf("%s is not a FAT file system, which GRUB would find by its number", p)
	}
	m := machine{root: host}
	device, err := m.deviceUnder(p)
	if err == nil && device == "" {
		err = errNoDevice
	}
	if err != nil {
		return "", fmt.Errorf("%s %w", p, err)
	}
	return m.fatIDOn(device)
}

func (m machine) fatIDOn(device string) (string, error) {
	f, err := m.root.Open(below("dev", device))
	if err != nil {
		return "", err
	}
	defer f.Close()
	id, err := superblock.FATID(f)
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.deviceName(device), err)
	}
	return id, nil
}

// UUIDAt returns the UUID of the file system that is mounted at a directory, or the number of a
// FAT, as mount(8) takes it after UUID=. Host is the root directory of the running system.
func UUIDAt(host *os.Root, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", err
	}
	return machine{root: host}.uuidAt(dir)
}

func (m machine) uuidAt(dir string) (string, error) {
	device, err := m.deviceAt(dir)
	if err != nil {
		return "", err
	}
	uuid, err := m.uuidOf(device)
	if err == nil {
		return uuid, nil
	}
	if id, errFAT := m.fatIDOn(device); errFAT == nil {
		return id, nil
	}
	return "", err
}

// uuidOf returns the UUID of the file system on a block device, as blkid(8) does.
func (m machine) uuidOf(device string) (string, error) {
	f, err := m.root.Open(below("dev", device))
	if err != nil {
		return "", err
	}
	defer f.Close()
	var content superblock.Content
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		content, err = superblock.Read(f, size)
	}
	if err == nil && (content.Container || content.UUID == "") {
		err = errors.New("no file system with a UUID that is known here (ext4, XFS, btrfs, F2FS)")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", m.deviceName(device), err)
	}
	return content.UUID, nil
}
