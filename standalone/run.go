// Package standalone is the whole of an initramfs: the first program that the kernel
// starts, where there is no systemd and no shell. It loads drivers as devices appear, finds
// and mounts the physical root, has it prepared, and starts the system in it. It hides what
// the kernel wants of such a program.
package standalone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bug"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/bootsteps"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/console"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// Hooks are what another stage does.
type Hooks struct {
	// OpenRoot opens the directory that is the root when it is called.
	OpenRoot func() (*os.Root, error)
	// Prepare turns the physical root, which is mounted at /sysroot, into the root of the
	// image that the kernel command line names. It writes warnings to stderr.
	Prepare func(stderr io.Writer) error
	// Explain returns what to tell the person at a machine that cannot start, and what
	// follows. It reads the variables of the firmware in root.
	Explain func(root fs.FS, failure error, cmdline kcmdline.Cmdline) (screen string, action bootcount.Policy)
	// TimeToRead is how long the screen stays before the action.
	TimeToRead time.Duration
	// Deadline returns how long all of this may take on a boot on trial, 0 for as long as it
	// likes, and Overdue the error if it takes longer.
	Deadline func(cmdline kcmdline.Cmdline) time.Duration
	Overdue  func(limit time.Duration) error
	// OnTrial reports whether a machine that cannot start is restarted, as its boot is a try.
	OnTrial func(root fs.FS, cmdline kcmdline.Cmdline) bool
	// ForceAfter restarts the machine after some time, whatever hangs.
	ForceAfter func(d time.Duration, cmdline kcmdline.Cmdline)
}

// ErrNotInit reports that the program was not started by the kernel.
var ErrNotInit = errors.New("this program is the init of an initramfs: only the kernel can start it")

// Run is the program: it takes its arguments, without the program's name. As the kernel's
// first process it never returns. The kernel also starts it in place of modprobe(8).
func Run(ctx context.Context, args []string, h Hooks) error {
	switch {
	case os.Getpid() == 1:
		p := &program{hooks: h, args: args}
		p.fail(bug.Catch(func() error { return p.boot(ctx) }))
	case len(args) == 3 && args[0] == "-q" && args[1] == "--":
		return modprobe(args[2])
	}
	return ErrNotInit
}

// A program is what is known during a boot.
type program struct {
	hooks    Hooks
	args     []string // what the kernel did not know of its command line: they are init's
	cmdline  kcmdline.Cmdline
	log      log
	loader   *loader
	modprobe string // what the kernel would start to load a module
	consoles console.Terminals
	deadline *time.Timer // nil if there is none
}

// boot starts the system. It returns only if it cannot.
func (p *program) boot(ctx context.Context) error {
	if err := p.begin(); err != nil {
		return err
	}
	p.watch()
	if err := refuse(p.cmdline); err != nil {
		return err
	}
	w, err := wanted(p.cmdline)
	if err != nil {
		return err
	}
	go p.loadImage() // while the disks are looked for
	root, err := p.findRoot(w)
	if err != nil {
		return err
	}
	m := w.mountOf(root)
	p.log.info("the root is on %s", m)
	if err := p.mountRoot(m, root); err != nil {
		return err
	}
	if err := p.hooks.Prepare(&p.log); err != nil { // which writes down how long it took
		return err
	}
	return p.start(ctx)
}

// note writes down how long a step took, once it is done. It costs no boot if it cannot.
func (p *program) note(done func() error) {
	if err := done(); err != nil {
		p.log.warn("%v", err)
	}
}

// begin sets up what everything else needs.
func (p *program) begin() error {
	if err := mountAPIs(); err != nil {
		return err
	}
	var err error
	if p.cmdline, err = kernelCmdline(); err != nil {
		return err
	}
	p.log.open(p.cmdline)
	useConsole()
	if p.loader, err = openLoader(p.cmdline, &p.log); err != nil {
		return err
	}
	p.modprobe = answerKernel()
	return nil
}

func kernelCmdline() (kcmdline.Cmdline, error) {
	data, err := bounded.ReadPath("/proc/cmdline", limits.Kernel)
	if err != nil {
		return nil, fmt.Errorf("cannot read the kernel command line: %w", err)
	}
	return kcmdline.Parse(string(data)), nil
}

// openLoader returns the loader for the running kernel.
func openLoader(cmdline kcmdline.Cmdline, log *log) (*loader, error) {
	release, err := sys.KernelRelease()
	if err != nil {
		return nil, err
	}
	return newLoader(filepath.Join("/usr/lib/modules", release), cmdline, sys.LoadModule, log)
}

// shells are arguments that ask the initramfs for a shell; see dracut.cmdline(7) and
// kernel-command-line(7). Those without "rd." are for the system that is started.
var shells = []string{"rd.break", "rd.emergency", "rd.rescue"}

// refuse returns an error if the kernel command line asks for something that only systemd
// does in an initramfs. Starting the system all the same would not be what was asked for.
func refuse(cmdline kcmdline.Cmdline) error {
	for _, arg := range cmdline.Select(shells...) {
		if arg.Value != "0" && arg.Value != "no" {
			return fmt.Errorf("%s needs a shell, but a standalone initramfs has none: use emergency for a shell in the booted system, or an initramfs built by dracut", arg)
		}
	}
	if unit, ok := cmdline.Last("rd.systemd.unit"); ok {
		return fmt.Errorf("rd.systemd.unit=%s needs systemd, but a standalone initramfs has none: use an initramfs built by dracut", unit)
	}
	volatile, ok := cmdline.Last("systemd.volatile")
	if !ok {
		return nil
	}
	switch volatile {
	case "0", "no", "n", "false", "f", "off", "state": // the system itself does the last one
	default:
		return fmt.Errorf("systemd.volatile=%s needs systemd in the initramfs, but a standalone initramfs has none: use an initramfs built by dracut", volatile)
	}
	return nil
}

// findRoot returns the device of the root, once it is there.
func (p *program) findRoot(w want) (choice, error) {
	defer p.note(bootsteps.Begin("find the root"))
	events, err := sys.OpenUevents()
	if err != nil {
		return choice{}, fmt.Errorf("cannot wait for devices: %w", err)
	}
	defer events.Close()
	f := finder{
		want: w, events: events, load: p.loader.aliases, log: &p.log,
		devices: devices{sys: "/sys", dev: "/dev", known: make(map[string]device)},
	}
	if w.by == byType {
		if f.esp, err = p.bootedFrom(); err != nil {
			return choice{}, fmt.Errorf("cannot determine the boot disk: %w", err)
		}
	}
	return f.find(time.Now())
}

// bootedFrom returns the PARTUUID of the EFI system partition that the boot loader was
// started from, "" without EFI, or if the loader does not tell.
func (p *program) bootedFrom() (string, error) {
	p.mountEFI()
	root, err := p.hooks.OpenRoot()
	if err != nil {
		return "", err
	}
	defer root.Close()
	esp, err := bootcount.Text(root.FS(), "LoaderDevicePartUUID")
	_, err = bounded.Found(err)
	return esp, err
}

// loadImage loads what it takes to mount an image, whatever the physical root is.
func (p *program) loadImage() {
	p.loader.fileSystems("erofs", "overlay")
	if p.loader.needsLoop() {
		p.loader.alias("loop")
	}
}

// mountRoot mounts the physical root, with the modules that this and the image need.
func (p *program) mountRoot(m rootMount, c choice) error {
	defer p.note(bootsteps.Begin("mount the root"))
	p.loader.fileSystems(m.fstype)
	p.loadImage() // which has begun, and is over then
	if err := c.gather(); err != nil {
		return err
	}
	return m.make(sysrootDir)
}
