package standalone

import "time"

// timeToForce is how long restarting may take before the machine is reset: a disk that hangs
// would keep it for ever.
const timeToForce = time.Minute

// watch has a boot on trial end even if it waits for a device that never appears, or for a
// mount that hangs. Starting the system ends this program, and that too.
func (p *program) watch() {
	if limit := p.hooks.Deadline(p.cmdline); limit > 0 {
		p.deadline = time.AfterFunc(limit, func() { p.overdue(limit) })
	}
}

// overdue gives up if the boot is on trial. Any other goes on for as long as it likes.
func (p *program) overdue(limit time.Duration) {
	p.mountEFI() // whether this boot is a try
	root, err := p.hooks.OpenRoot()
	if err != nil {
		p.log.warn("%v", err)
		return
	}
	defer root.Close()
	if !p.hooks.OnTrial(root.FS(), p.cmdline) {
		return
	}
	p.hooks.ForceAfter(timeToForce, p.cmdline)
	p.fail(p.hooks.Overdue(limit))
}
