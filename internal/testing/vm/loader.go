package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
)

// A partitionTable is what sfdisk --json prints.
type partitionTable struct {
	PartitionTable struct{ Partitions []partition }
}

type partition struct {
	Start  int64 // in sectors
	Type   string
	number int
}

const sector = 512

const (
	typeESP  = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
	typeRoot = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
)

// Entry stands for firmware and boot loader on a machine without them: it returns the
// initramfs, a file in cfg.Dir, and the kernel command line of the first boot entry of the
// first disk. It does not count boots, nor tell the machine what it booted. Tests of what
// a loader does run on a PC.
func Entry(ctx context.Context, cfg Config) (initrd string, options []string, err error) {
	disk := cfg.Disks[0].Path
	fat, root, err := partitions(ctx, disk)
	if err != nil {
		return "", nil, err
	}
	esp := fmt.Sprintf("%s@@%d", disk, fat.Start*sector)
	entry, err := firstEntry(ctx, esp)
	if err != nil {
		return "", nil, err
	}
	if len(entry.Initrds) != 1 {
		return "", nil, fmt.Errorf("the first boot entry has %d initramfs; want one", len(entry.Initrds))
	}
	initrd = filepath.Join(cfg.Dir, "initrd")
	if _, err := output(ctx, "mcopy", "-n", "-o", "-i", esp, "::"+entry.Initrds[0], initrd); err != nil {
		return "", nil, err
	}
	options = strings.Fields(entry.Options)
	if !slices.ContainsFunc(options, func(arg string) bool { return strings.HasPrefix(arg, "root=") }) {
		options = append(options, fmt.Sprintf("root=/dev/ubda%d", root.number)) // on a PC it is found by its type
	}
	return initrd, options, nil
}

// EntryKernel returns the kernel of the first boot entry of the first disk, a file in cfg.Dir,
// for a PC whose kernel QEMU boots itself.
func EntryKernel(ctx context.Context, cfg Config) (string, error) {
	disk := cfg.Disks[0].Path
	fat, _, err := partitions(ctx, disk)
	if err != nil {
		return "", err
	}
	esp := fmt.Sprintf("%s@@%d", disk, fat.Start*sector)
	entry, err := firstEntry(ctx, esp)
	if err != nil {
		return "", err
	}
	kernel := filepath.Join(cfg.Dir, "vmlinuz")
	_, err = output(ctx, "mcopy", "-n", "-o", "-i", esp, "::"+entry.Linux, kernel)
	return kernel, err
}

// RootOffset returns where the root partition of an installed disk begins, in bytes.
func RootOffset(ctx context.Context, disk string) (int64, error) {
	_, root, err := partitions(ctx, disk)
	return root.Start * sector, err
}

// partitions returns the EFI system partition and the root of an installed disk.
func partitions(ctx context.Context, disk string) (fat, root partition, err error) {
	out, err := output(ctx, "sfdisk", "--json", disk)
	if err != nil {
		return fat, root, err
	}
	var table partitionTable
	if err := json.Unmarshal([]byte(out), &table); err != nil {
		return fat, root, err
	}
	for i, p := range table.PartitionTable.Partitions {
		p.number = i + 1
		switch p.Type {
		case typeESP:
			fat = p
		case typeRoot:
			root = p
		}
	}
	return fat, root, nil
}

// firstEntry returns the entry that systemd-boot would boot.
func firstEntry(ctx context.Context, fat string) (bootentry.Entry, error) {
	out, err := output(ctx, "mdir", "-b", "-i", fat, "::/loader/entries")
	if err != nil {
		return bootentry.Entry{}, err
	}
	var entries []bootentry.File
	for line := range strings.Lines(out) {
		file := strings.TrimSpace(line)
		name, err := bootentry.ParseName(path.Base(file))
		if err != nil {
			continue // no entry, such as one that is only staged
		}
		text, err := output(ctx, "mtype", "-i", fat, file)
		if err != nil {
			return bootentry.Entry{}, err
		}
		if entry, err := bootentry.Parse([]byte(text)); err == nil {
			entries = append(entries, bootentry.File{Name: name, Entry: entry})
		}
	}
	if len(entries) == 0 {
		return bootentry.Entry{}, errors.New("there is no boot entry")
	}
	bootentry.Sort(entries)
	return entries[0].Entry, nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return string(out), nil
}
