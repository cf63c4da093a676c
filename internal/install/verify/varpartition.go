package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

const partitionOfVar = "partition of /var"

// varRecord returns which partition /var is on, nil if it is on the root or the record is damaged.
func (r *Report) varRecord(system *machine.System) *deployment.VarPartition {
	v, err := records.IfAny(records.LoadVarPartition(system.Sysroot))
	if err != nil {
		r.add(partitionOfVar, "", err)
	}
	return v
}

// checkVar looks for the partition of /var as the initramfs does, and for the directory there.
func checkVar(ctx context.Context, d *device.Disk, p *parts, v deployment.VarPartition) error {
	for _, n := range p.table.Numbers() {
		entry, _ := p.table.Partition(n)
		if entry.UUID != v.PartUUID {
			continue
		}
		if entry.Type != layout.TypeVar {
			return fmt.Errorf("partition %d has another type than that of a /var", n)
		}
		if got := p.contents[n].Type; got != v.FileSystem {
			return fmt.Errorf("partition %d should have the file system %s, and has %q", n, v.FileSystem, got)
		}
		opened, err := openPart(ctx, d, p, n)
		if err != nil {
			return err
		}
		defer opened.Close()
		return isVar(fmt.Sprintf("/proc/self/fd/%d", opened.Fd()), v)
	}
	return fmt.Errorf("no partition of this disk has %s", v)
}

// isVar reports why the file system that is mounted at a directory has no /var.
func isVar(dir string, v deployment.VarPartition) error {
	name := path.Join(v.Dir, path.Base(deployment.SharedVar))
	switch info, err := os.Stat(path.Join(dir, name)); {
	case err != nil:
		return err
	case !info.IsDir():
		return errors.New(name + " is no directory")
	}
	return nil
}

// unlooked warns of a partition of /var that is not looked at.
func (r *Report) unlooked(system *machine.System) {
	if v := r.varRecord(system); v != nil {
		r.warn(partitionOfVar, fmt.Errorf("it is %s, which was not looked at", v))
	}
}
