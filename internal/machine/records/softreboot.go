package records

import (
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadSoftReboot returns the record of a soft reboot that was asked for, in a running system.
func LoadSoftReboot(running fs.FS) (deployment.SoftReboot, error) {
	return load(running, deployment.SoftRebootRecord, limits.Record, deployment.ParseSoftReboot)
}

// StoreSoftReboot records in a running system that a soft reboot was asked for. A reboot
// forgets it.
func StoreSoftReboot(running durable.FS, s deployment.SoftReboot) error {
	return storeInRun(running, deployment.SoftRebootRecord, s.Encode())
}

// DropSoftReboot removes the record of LoadSoftReboot, if there is one.
func DropSoftReboot(running *os.Root) error {
	return dropInRun(running, deployment.SoftRebootRecord)
}
