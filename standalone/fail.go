package standalone

import (
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/console"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// fail tells what went wrong, and does what is to follow. It never returns: if the first
// process ends, the kernel panics.
func (p *program) fail(failure error) {
	if p.deadline != nil {
		p.deadline.Stop()
	}
	if err := bug.Catch(func() error { return p.giveUp(failure) }); err != nil {
		_ = bug.Catch(func() error { p.show(err.Error() + "\n"); return nil })
	}
	for {
		time.Sleep(time.Hour)
	}
}

// giveUp returns if the machine is to stay as it is.
func (p *program) giveUp(failure error) error {
	p.mountEFI() // whether this boot is a try
	root, err := p.hooks.OpenRoot()
	if err != nil {
		return errors.Join(failure, err)
	}
	defer root.Close()
	screen, action := p.hooks.Explain(root.FS(), failure, p.cmdline)
	if action == bootcount.Emergency {
		screen += "There is no shell. Ctrl+Alt+Delete restarts the machine.\n\n"
	}
	p.show(screen)
	switch action {
	case bootcount.Reboot:
		time.Sleep(p.hooks.TimeToRead)
		return sys.SetPower(sys.PowerReboot)
	case bootcount.PowerOff:
		time.Sleep(p.hooks.TimeToRead)
		return sys.SetPower(sys.PowerOff)
	}
	return nil
}

// show writes to every console, and to the kernel's log, whose level keeps it from being
// shown twice.
func (p *program) show(text string) {
	if len(p.consoles) == 0 {
		p.consoles = console.Open()
	}
	p.log.write(priDebug, text)
	p.consoles.Show(text)
}

// useConsole makes the console standard input, output and error, also where the kernel
// has none (console=null): then it is /dev/null.
func useConsole() {
	for _, name := range []string{"/dev/console", os.DevNull} {
		f, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
		if err != nil {
			continue
		}
		err = sys.StandardFiles(f)
		f.Close()
		if err == nil {
			return
		}
	}
}
