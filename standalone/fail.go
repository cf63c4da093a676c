package standalone

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// fail tells what went wrong, and does what is to follow. It never returns: if the first
// process ends, the kernel panics.
func (p *program) fail(failure error) {
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
		p.consoles = openConsoles()
	}
	p.log.write(priDebug, text)
	for _, c := range p.consoles {
		// A terminal that nobody reads from must not keep the others waiting.
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.WriteString(text)
	}
}

// openConsoles opens the terminals that the kernel writes its log to, or else /dev/console.
func openConsoles() (all []*os.File) {
	names, _ := bounded.ReadPath("/sys/class/tty/console/active", limits.Kernel)
	for _, name := range append(strings.Fields(string(names)), "console") {
		if name == "console" && len(all) > 0 {
			break
		}
		if f, err := os.OpenFile(filepath.Join("/dev", name), os.O_WRONLY|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0); err == nil {
			all = append(all, f)
		}
	}
	return all
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
