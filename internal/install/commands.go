package install

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/install/fat"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/install/luks"
	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
)

// checkTools says which programs are missing, or have no TPM, before anything is written.
func (p DiskPlan) checkTools(ctx context.Context) error {
	names := []string{p.tool, "wipefs", "mkfs.vfat", "mkfs." + p.options.FileSystem}
	names = append(names, fat.Programs(!p.options.Unmounted)...)
	if p.options.bios {
		names = append(names, mkimage())
	}
	encrypts := p.options.BlockSetup == TPM2LUKS
	if encrypts {
		names = append(names, luks.Programs()...)
	}
	if err := tools.Check(names...); err != nil {
		return fmt.Errorf("cannot install on a disk: %w", err)
	}
	if encrypts {
		if err := luks.Check(ctx, p.options.Host.Root); err != nil {
			return fmt.Errorf("cannot encrypt the root: %w", err)
		}
	}
	return nil
}

// commands returns what the programs do that make partitions, file systems, and what a BIOS starts.
func (p DiskPlan) commands() (out []string, err error) {
	disk, err := filepath.Abs(p.Disk)
	if err != nil {
		return nil, err
	}
	if len(p.Lost) > 0 {
		out = append(out, wipe(disk).String())
	}
	out = append(out, p.partitionCommand(disk, "DIR").String())
	for i, part := range p.Layout.Partitions {
		if part.FileSystem == "" {
			continue
		}
		name := fmt.Sprintf("partition-%d", i+1)
		if part.LUKS != "" {
			v := p.volume(part, name, nil)
			for _, c := range v.Commands() {
				out = append(out, c.String())
			}
			name = v.Node()
		}
		command := mkfs(part, name)
		if isTree(part.Role) && p.options.Unmounted {
			command = mkfsOf(part, "DIR", name)
		}
		out = append(out, command.String())
	}
	if p.options.bios {
		out = append(out, p.coreCommand("DIR", "core.img").String())
	}
	return out, nil
}

func wipe(path string, keep ...*os.File) tools.Command {
	return tools.Command{Name: "wipefs", Args: []string{"-a", "-f", "-q", path}, Keep: keep}
}

// partitionCommand returns the command that makes the partitions. The definitions for
// systemd-repart are in dir.
func (p DiskPlan) partitionCommand(disk, dir string, keep ...*os.File) tools.Command {
	if p.tool == "sfdisk" {
		return tools.Command{Name: "sfdisk", Args: []string{"--quiet", "--wipe=always", disk}, Input: p.Layout.Sfdisk(), Keep: keep}
	}
	return tools.Command{Name: p.tool, Args: []string{
		"--empty=force", "--dry-run=no", "--pretty=no", "--discard=no", "--definitions=" + dir, "--seed=" + p.options.Seed.String(), disk,
	}, Keep: keep}
}

// writeDefinitions writes the files that systemd-repart reads.
func (p DiskPlan) writeDefinitions(dir string) error {
	for _, f := range p.Layout.Repart() {
		if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(f.Text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mkfs returns the command that makes the file system of a partition, with what fs-verity
// needs: blocks of 4096 bytes, which are the kernel's pages too.
func mkfs(part layout.Partition, path string, keep ...*os.File) tools.Command {
	c := tools.Command{Name: "mkfs." + part.FileSystem, Keep: keep}
	uuid := part.FSUUID
	switch part.FileSystem {
	case "vfat":
		id := strings.ToUpper(uuid[:8])
		c.Args = []string{"--invariant", "-F", "32", "-n", strings.ToUpper(part.Label), "-i", id, path}
	case "ext4":
		c.Args = []string{
			"-q", "-F", "-O", "verity", "-b", "4096", "-U", uuid, "-E", "hash_seed=" + uuid + ",lazy_itable_init=1,nodiscard", path,
		}
	case "btrfs":
		c.Args = []string{"-q", "-f", "-K", "-s", "4096", "-U", uuid, path}
	case "xfs":
		c.Args = []string{"-q", "-f", "-K", "-m", "uuid=" + uuid, path}
	}
	return c
}
