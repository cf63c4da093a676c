package boot

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Partition types of the Discoverable Partitions Specification.
const (
	typeESP      = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	typeXBOOTLDR = "bc13c2ff-59e6-4262-a352-b275fd6f7172"
)

// ErrNoPartition says that a machine's boot partition was not found.
var ErrNoPartition = errors.New("cannot find the boot partition")

// Find opens the boot partition of the running machine, whose root directory is host and
// whose physical root is mounted at sysroot. Candidates are the EFI system partition that
// the loader came from, or the one on the disk of sysroot, and the extended boot loader
// partition beside it. The latter wins unless only the former has boot entries of the
// machine's deployments. The partition is mounted where no other process sees it; where
// that is not possible, Find takes a FAT file system mounted at /boot, /efi or /boot/efi.
//
// Host must stay open as long as the partition.
//
// The error is ErrNoPartition if there is none, or fs.ErrPermission.
func Find(host *os.Root, sysroot string) (*Partition, error) {
	return machine{root: host, mount: mountPrivately}.findBoot(sysroot)
}

// findBoot finds the partition for kernels and entries, and asks the loader what
// it does with them. One that does not read the extended boot loader partition
// has them on its own.
func (m machine) findBoot(sysroot string) (*Partition, error) {
	features, known, err := loaderFeatures(m.root.FS())
	if err != nil {
		return nil, fmt.Errorf("cannot tell what the boot loader does: %w", err)
	}
	wanted := []string{typeXBOOTLDR, typeESP}
	if known && features&featureXBOOTLDR == 0 {
		wanted = []string{typeESP}
	}
	root, err := m.root.OpenRoot(below(sysroot))
	if err != nil {
		return nil, err
	}
	p, err := m.findOf(root, sysroot, wanted)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	p.close = append(p.close, root)
	p.uncounted = features&featureBootCounting == 0 && !p.grub
	return p, nil
}

// findOf finds the boot partition of the machine with this physical root. Where the first
// that is wanted has no entries of its deployments, and the last has, it is that: bootc
// writes to the EFI system partition only.
func (m machine) findOf(root *os.Root, sysroot string, wanted []string) (*Partition, error) {
	p, err := m.find(sysroot, wanted...)
	if err != nil {
		return nil, err
	}
	p.machine, p.host = root, m.root
	if err := m.tellBooted(p); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	has, err := p.hasDeployment()
	if has || err == nil && len(wanted) == 1 {
		return p, nil
	}
	if err == nil {
		esp, espErr := m.findOf(root, sysroot, wanted[1:])
		if espErr != nil {
			return p, nil // p is the one that was found
		}
		if has, err = esp.hasDeployment(); has {
			return esp, p.Close()
		}
		err = errors.Join(err, esp.Close())
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// A machine is a running system, seen from its root directory.
type machine struct {
	root  *os.Root
	mount func(device, fstype string) (*os.File, error)
}

// find opens a partition of the first of the wanted types that there is.
func (m machine) find(sysroot string, wanted ...string) (*Partition, error) {
	parts, err := m.candidates(sysroot)
	for _, kind := range wanted {
		i := slices.IndexFunc(parts, func(b blockDevice) bool { return b.kind == kind })
		if i < 0 {
			continue
		}
		p, errMount := m.open(parts[i])
		if errMount == nil {
			if kind == typeXBOOTLDR {
				m.openESP(p, parts)
			}
			return p, nil
		}
		err = errors.Join(err, errMount)
		break // the partition of the other type is not the right one
	}
	p, errMounted := m.mounted()
	if p != nil {
		return p, nil
	}
	if err = errors.Join(err, errMounted); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoPartition, err)
	}
	return nil, fmt.Errorf("%w: no EFI system partition on the disk of %s, and no FAT file system at /boot or /efi", ErrNoPartition, sysroot)
}

// openESP opens the EFI system partition beside the extended boot loader partition p: the
// loader reads its settings there only.
func (m machine) openESP(p *Partition, parts []blockDevice) {
	i := slices.IndexFunc(parts, func(b blockDevice) bool { return b.kind == typeESP })
	if i < 0 {
		return
	}
	esp, err := m.open(parts[i])
	if err != nil {
		p.settingsErr = err
		return
	}
	p.settings, p.esp = esp.root, esp
	p.close = append(p.close, esp)
}

func (m machine) open(b blockDevice) (*Partition, error) {
	device := "/dev/" + b.name
	fstype := b.fstype
	if fstype == "" {
		fstype = "vfat"
	}
	mount, err := m.mount(device, fstype)
	if err != nil {
		return nil, fmt.Errorf("cannot mount %s: %w", device, err)
	}
	return OpenMount(device, mount)
}

// Mount mounts a boot partition where no other process sees it, writable or not.
func Mount(device string, writable bool) (*Partition, error) {
	mount := mountPrivately
	if !writable {
		mount = mountReadOnly
	}
	file, err := mount(device, "vfat")
	if err != nil {
		return nil, fmt.Errorf("cannot mount %s: %w", device, err)
	}
	return OpenMount(device, file)
}

func mountReadOnly(device, fstype string) (*os.File, error) {
	return sys.Detached(fstype, sys.ReadOnly|sys.NoSuid|sys.NoDev|sys.NoExec, sys.MountString("source", device), sys.MountFlag("ro"))
}

func mountPrivately(device, fstype string) (*os.File, error) {
	options := []sys.MountOption{sys.MountString("source", device)}
	if fstype == "vfat" {
		// Random seeds and keys are there too: not for everybody to read.
		options = append(options, sys.MountString("umask", "0077"))
	}
	return sys.Detached(fstype, sys.NoSuid|sys.NoDev|sys.NoExec, options...)
}

// mounted returns the first FAT file system that is mounted where boot partitions are, nil
// if there is none. It does not go on to the next if the first may not be opened: that would
// be the wrong one.
func (m machine) mounted() (*Partition, error) {
	mounts, err := m.mounts()
	if err != nil {
		return nil, err
	}
	for _, where := range []string{"/boot", "/efi", "/boot/efi"} {
		if mount, _ := mountplan.At(mounts, where); mount.Type != "vfat" {
			continue
		}
		root, err := m.root.OpenRoot(below(where))
		if err != nil {
			return nil, fmt.Errorf("cannot open boot partition: %w", err)
		}
		return newPartition(where, root, nil)
	}
	return nil, nil
}

func (m machine) mounts() ([]mountplan.Mounted, error) {
	data, err := bounded.ReadRoot(m.root, "proc/self/mountinfo", limits.Kernel)
	if err != nil {
		return nil, err
	}
	return mountplan.ParseMountinfo(string(data))
}

// A blockDevice is a block device by its name below /dev and in sysfs.
type blockDevice struct {
	name   string
	kind   string // partition type UUID, "" if it is not known
	fstype string // "" if it is not known
}

// candidates returns the partitions that may be the boot partition, those on
// the loader's disk first. The error says why there may be more.
func (m machine) candidates(sysroot string) ([]blockDevice, error) {
	loader, err := m.loaderPartition()
	if err != nil {
		return nil, err
	}
	if loader != "" {
		parts, err := m.partitionsBeside(loader)
		for i := range parts {
			// Firmware does not ask for the partition's type, nor may udev.
			if parts[i].name == loader {
				parts[i].kind = typeESP
				parts[0], parts[i] = parts[i], parts[0]
			}
		}
		return parts, err
	}
	device, err := m.deviceAt(sysroot)
	if err != nil {
		return nil, err
	}
	var parts []blockDevice
	lower, err := m.beneath(device, 0)
	if err != nil {
		return nil, err
	}
	for _, name := range lower {
		more, err := m.partitionsBeside(name)
		if err != nil {
			return parts, err
		}
		parts = append(parts, more...)
	}
	return parts, nil
}

// loaderPartition returns the name of the block device from which the loader
// says it came, "" if it does not say, or nothing that makes sense.
func (m machine) loaderPartition() (string, error) {
	uuid, err := bootcount.Text(m.root.FS(), "LoaderDevicePartUUID")
	if errors.Is(err, bootcount.ErrNotText) || strings.ContainsAny(uuid, "/\x00") {
		return "", nil
	}
	if found, err := bounded.Found(err); !found || err != nil {
		return "", err
	}
	device, err := m.resolve("dev/disk/by-partuuid", strings.ToLower(uuid))
	if found, err := bounded.Found(err); !found || err != nil {
		return "", err
	}
	return path.Base(device), nil
}

// partitionsBeside returns the partitions of the disk that a partition is on.
func (m machine) partitionsBeside(name string) ([]blockDevice, error) {
	disk, err := m.diskOf(name)
	if err != nil {
		return nil, err
	}
	return m.partitions(disk)
}

// deviceAt returns the name of the block device that is mounted at a directory.
func (m machine) deviceAt(where string) (string, error) {
	mounts, err := m.mounts()
	if err != nil {
		return "", err
	}
	mount, ok := mountplan.At(mounts, path.Clean(where))
	if !ok {
		return "", fmt.Errorf("nothing is mounted at %s", where)
	}
	return m.deviceOf(mount)
}

// deviceOf returns the name of the block device that is mounted.
func (m machine) deviceOf(mount mountplan.Mounted) (string, error) {
	if device, err := m.resolve("sys/dev/block", mount.Device); err == nil {
		return path.Base(device), nil
	}
	// btrfs has no block device's number, but names one.
	device, err := m.resolve(mount.What)
	found, err := bounded.Found(err)
	if err == nil && found {
		found, err = m.exists("sys/class/block", path.Base(device))
	}
	if err != nil {
		return "", fmt.Errorf("cannot tell what is mounted at %s: %w", mount.Where, err)
	}
	if !found {
		return "", fmt.Errorf("%s, which is mounted at %s, %w", mount.What, mount.Where, errNoDevice)
	}
	return path.Base(device), nil
}

// errNoDevice says what a file system is not on.
var errNoDevice = errors.New("is not a block device")

// beneath returns the partitions or disks that a block device is made of:
// itself, or what is below a device of the device mapper.
func (m machine) beneath(name string, depth int) ([]string, error) {
	const deepest = 8
	slaves, err := m.names("sys/class/block", name, "slaves")
	if _, err := bounded.Found(err); err != nil {
		return nil, err
	}
	if len(slaves) == 0 || depth == deepest {
		return []string{name}, nil
	}
	var all []string
	for _, s := range slaves {
		lower, err := m.beneath(s, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, lower...)
	}
	return all, nil
}

// diskOf returns the disk that a partition is on, or the name itself.
func (m machine) diskOf(name string) (string, error) {
	device, err := m.resolve("sys/class/block", name)
	found, err := bounded.Found(err)
	if err == nil && found {
		found, err = m.exists("sys/class/block", name, "partition")
	}
	if err != nil || !found {
		return name, err
	}
	return path.Base(path.Dir(device)), nil
}

// partitions returns the partitions of a disk with what udev knows of them.
func (m machine) partitions(disk string) ([]blockDevice, error) {
	names, err := m.names("sys/class/block", disk)
	if err != nil {
		return nil, err
	}
	var parts []blockDevice
	for _, name := range names {
		isPartition, err := m.exists("sys/class/block", disk, name, "partition")
		if err != nil {
			return nil, err
		}
		if !isPartition {
			continue
		}
		number, err := m.read("sys/class/block", disk, name, "dev")
		if err != nil {
			return nil, err
		}
		db, err := m.read("run/udev/data", "b"+strings.TrimSpace(string(number)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		parts = append(parts, blockDevice{
			name:   name,
			kind:   strings.ToLower(udevProperty(db, "ID_PART_ENTRY_TYPE")),
			fstype: udevProperty(db, "ID_FS_TYPE"),
		})
	}
	return parts, nil
}

// udevProperty returns a property from a file of udev's database.
func udevProperty(db []byte, key string) string {
	for line := range strings.Lines(string(db)) {
		if value, ok := strings.CutPrefix(line, "E:"+key+"="); ok {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return ""
}

// below returns a path as the root directory has it.
func below(parts ...string) string {
	return cmp.Or(strings.TrimPrefix(path.Join("/", path.Join(parts...)), "/"), ".")
}

// read returns the content of a file.
func (m machine) read(parts ...string) ([]byte, error) {
	return bounded.ReadRoot(m.root, below(parts...), limits.Kernel)
}

// resolve returns what a path stands for if the last name of it is a link, and if it leads
// to links. An absolute link leads to below the root directory.
func (m machine) resolve(parts ...string) (string, error) {
	const most = 40 // as the kernel has it
	name := below(parts...)
	for range most {
		target, err := m.root.Readlink(name)
		switch {
		case errors.Is(err, syscall.EINVAL): // it is no link
			return name, nil
		case err != nil:
			return "", err
		case path.IsAbs(target):
			name = below(target)
		default:
			name = below(path.Dir(name), target)
		}
	}
	return "", &fs.PathError{Op: "readlink", Path: name, Err: syscall.ELOOP}
}

// names returns the names in a directory, sorted.
func (m machine) names(parts ...string) ([]string, error) {
	return durable.Names(m.root, below(parts...))
}

func (m machine) exists(parts ...string) (bool, error) {
	_, err := m.root.Stat(below(parts...))
	return bounded.Found(err)
}
