package prepareroot

import (
	"fmt"
	"io/fs"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// redirect boots the fallback of a deployment by the fallback's own kernel. It returns only if
// it cannot.
func (s settings) redirect(root fs.FS, record deployment.Attempts) error {
	if err := setOneShot(record.FallbackEntry); err != nil {
		return fmt.Errorf("cannot boot deployment %s by its own kernel: %w", record.Fallback.Short(), err)
	}
	return restart(root, sys.PowerReboot)
}

// restart has the machine restart or be switched off. It returns only if it cannot.
func restart(root fs.FS, p sys.Power) error {
	// systemd stops everything in order. If it does not, the kernel does it.
	if systemdRuns(root) && sys.AskInit(p) == nil {
		time.Sleep(timeToAct)
	}
	return sys.SetPower(p)
}
