package finalize

import (
	"fmt"
	"os"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// prepareRoot is the program that mounts the root of a deployment.
const prepareRoot = "usr/lib/sysupdate-image/prepare-root"

// continueWith has a soft reboot continue with the deployment that was published, if that
// was asked for: a request for another one was left behind. It is the last moment for that: before, /etc was not carried over. If it
// cannot, the running system goes on: the record of what is staged is still there, and a
// reboot boots the deployment.
func (m Machine) continueWith(plan Plan, s stagedRoot) {
	request, err := records.IfAny(records.LoadSoftReboot(m.root.FS()))
	if err == nil && (request == nil || request.Target.ID != plan.Staged) {
		return
	}
	if err == nil {
		err = m.prepareNextRoot()
	}
	if err == nil {
		m.logf(journal.Notice, "the soft reboot continues with deployment %s", plan.Staged.Short())
		return
	}
	err = fmt.Errorf("cannot prepare the soft reboot: %w", err)
	m.logf(journal.Err, "deployment %s boots at the next reboot: %v", plan.Staged.Short(), err)
	if err := m.noteFailure(s.Root, plan.Staged, err); err != nil {
		m.logf(journal.Warning, "%v", err)
	}
}

// prepareTime is how long prepare-root may take, which reads the whole image.
const prepareTime = 2 * time.Minute

// prepareNextRoot runs the program that does the same in the initramfs.
func (m Machine) prepareNextRoot() error {
	name := m.root.Name() + "/" + prepareRoot
	p, err := os.StartProcess(name, []string{name, "--soft-reboot"}, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	defer time.AfterFunc(prepareTime, func() { p.Kill() }).Stop()
	state, err := p.Wait()
	if err == nil && !state.Success() {
		err = fmt.Errorf("prepare-root: %s", state)
	}
	return err
}
