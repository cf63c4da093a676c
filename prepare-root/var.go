package prepareroot

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/partdev"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// inVar returns where the plan has a name at or below deployment.VarParent.
func (in Input) inVar(name string) string {
	if in.Var == nil {
		return path.Join(in.Sysroot, name)
	}
	return path.Join(varDir, in.Var.Dir, strings.TrimPrefix(name, deployment.VarParent))
}

// varWork is the work directory of the overlay at /var: beside the upper directory, since
// both have to be in one file system. A root that is prepared while another runs has one of
// its own: that of the other is in use.
func (in Input) varWork() string {
	if in.Where == in.Sysroot {
		return in.inVar(deployment.VarWork)
	}
	return in.inVar(deployment.VarWork + "-" + in.Target.ID.Short())
}

// varMount mounts the partition of /var, if it has one.
func (in Input) varMount() mountplan.Plan {
	if in.Var == nil {
		return nil
	}
	return mountplan.Plan{{What: in.Var.String(), Where: varDir, Type: in.Var.FileSystem}}
}

// varAgain shows the partition of /var in /sysroot, where it would be without one.
func (in Input) varAgain() mountplan.Plan {
	if in.Var == nil {
		return nil
	}
	return mountplan.Plan{{
		What: path.Join(varDir, in.Var.Dir), Where: rootDir + path.Join(deployment.SysrootDir, deployment.VarParent),
		Options: append([]string{optBind}, sysrootFlags...),
	}}
}

// varTime is how long to wait for the partition of /var, as systemd waits for a device.
const varTime = 90 * time.Second

// waitTime returns varTime, or what rootwait= says of the root: the two are on the same disk.
func waitTime(cmdline kcmdline.Cmdline) time.Duration {
	text, _ := cmdline.Last("rootwait")
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return varTime
	}
	return time.Duration(seconds) * time.Second
}

// awaitVar waits for the partition of /var.
func (in Input) awaitVar() error {
	if in.Var == nil {
		return nil
	}
	root, err := partdev.DeviceOf(in.Sysroot)
	if err != nil {
		return fmt.Errorf("cannot open the physical root: %w", err)
	}
	limit := waitTime(in.Cmdline)
	if _, err := partdev.Host().Wait(in.Var.PartUUID, root, limit); err != nil {
		return fmt.Errorf("cannot find the partition of /var, which %s on the physical root names: %w after %s",
			deployment.VarPartitionRecord, err, limit)
	}
	return nil
}

// partition mounts a partition that is named by its UUID, on the disk of the physical root.
func (b *builder) partition(uuid, fstype string) (*os.File, error) {
	root, err := partdev.DeviceOf(b.sysroot)
	if err != nil {
		return nil, err
	}
	device, err := partdev.Host().Find(uuid, root)
	if err != nil {
		return nil, err
	}
	mount, err := sys.Detached(fstype, 0, sys.MountString("source", device))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", device, lacking(fstype, err))
	}
	return mount, nil
}
