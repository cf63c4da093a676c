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
	PartitionTable struct {
		Partitions []struct {
			Start int64
			Type  string
		}
	}
}

const (
	typeESP  = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
	typeRoot = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
)

// loadEntry stands for firmware and boot loader on a machine without them: it returns
// the options for initramfs and command line of the first boot entry of the first
// disk. It does not count boots, nor tell the machine what it booted. Tests of what
// a loader does run on a PC.
func loadEntry(ctx context.Context, cfg Config) ([]string, error) {
	disk := cfg.Disks[0].Path
	out, err := output(ctx, "sfdisk", "--json", disk)
	if err != nil {
		return nil, err
	}
	var table partitionTable
	if err := json.Unmarshal([]byte(out), &table); err != nil {
		return nil, err
	}
	var fat, root string
	for i, p := range table.PartitionTable.Partitions {
		switch p.Type {
		case typeESP:
			fat = fmt.Sprintf("%s@@%d", disk, p.Start*512)
		case typeRoot:
			root = fmt.Sprintf("root=/dev/ubda%d", i+1)
		}
	}
	entry, err := firstEntry(ctx, fat)
	if err != nil {
		return nil, err
	}
	if len(entry.Initrds) != 1 {
		return nil, fmt.Errorf("the first boot entry has %d initramfs; want one", len(entry.Initrds))
	}
	initrd := filepath.Join(cfg.Dir, "initrd")
	if _, err := output(ctx, "mcopy", "-n", "-o", "-i", fat, "::"+entry.Initrds[0], initrd); err != nil {
		return nil, err
	}
	args := append([]string{"initrd=" + initrd}, strings.Fields(entry.Options)...)
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "root=") }) {
		args = append(args, root) // on a PC it is found by its type
	}
	return args, nil
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
