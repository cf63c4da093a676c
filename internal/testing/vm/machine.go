// Package vm runs whole machines for tests and the demo. It hides QEMU and User
// Mode Linux: how a machine is started without hardware help, how scripts run in it,
// how its power fails, and that nothing of it is left when the test ends.
//
// A machine is of one of two kinds. A PC has firmware, boot loader and devices, and
// takes most of a minute to boot where there is no KVM. User Mode Linux is the kernel
// as a program of this machine: it has none of these, and boots in seconds.
package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Kind is what a machine is.
type Kind int

const (
	PC  Kind = iota // a PC with UEFI, by QEMU
	UML             // User Mode Linux
)

// A Config describes a machine.
type Config struct {
	Kind Kind
	// Dir keeps what a machine has besides its disks: the firmware's variables
	// and the console log. It must exist; a machine that is started again with the
	// same Dir finds its variables again.
	Dir string
	// Kernel, Initrd and Cmdline boot without firmware. When Kernel is empty a PC
	// boots from the EFI system partition of its first disk. Kernel of a UML is the
	// program; when Cmdline is empty, it boots as the first entry on that partition
	// says, but with this kernel.
	Kernel, Initrd, Cmdline string
	// BIOS has a PC without a kernel boot by a BIOS, in place of EFI.
	BIOS  bool
	Disks []Disk
	// MemoryMiB and CPUs default to 1536 and 2. UML has one processor.
	MemoryMiB, CPUs int
	// TPM is the socket of a TPM that is a program, "" for none. Of a PC only.
	TPM string
	// Keyboard has Type work. Of a PC only.
	Keyboard bool
	// KVM says that the host's KVM works, see TryKVM.
	KVM bool
	// Saved is a directory that Save has written: a PC goes on from there.
	Saved string
	// Results is a file for what a program of its own writes to the port of a UML. There
	// is no agent then, and nothing can be run: such a machine does one job and ends.
	Results string
}

func (cfg Config) memory() int { return cmp.Or(cfg.MemoryMiB, 1536) }

// A Machine is a running virtual machine, or one that ended.
type Machine struct {
	console console
	port    *os.File // to the agent
	monitor *monitor // of a PC
	dir     string

	mu      sync.Mutex
	pid     int           // of the process that the machine is, and of its group
	changed chan struct{} // closed and replaced whenever something below changes
	boots   []string      // ids of the boots whose agent said hello
	seen    int           // how many of them WaitBoot has returned
	hellos  int           // how often an agent said so
	pending map[uint64]chan outcome
	lastID  uint64
	killed  bool
	ended   bool
	endErr  error
}

// ErrEnded is what waiting for a machine returns that is not running any more.
var ErrEnded = errors.New("the machine is off")

// Start starts a machine. It ends when ctx does, when it powers itself off, or by
// Kill; and it never outlives the calling process.
func Start(ctx context.Context, cfg Config) (*Machine, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("cannot start machine: %w", err)
	}
	m := &Machine{
		console: openConsole(filepath.Join(cfg.Dir, consoleName)),
		dir:     cfg.Dir,
		port:    ours,
		changed: make(chan struct{}),
		pending: make(map[uint64]chan outcome),
	}
	if err := m.resume(cfg.Saved); err != nil {
		return nil, fmt.Errorf("cannot start machine: %w", err)
	}
	launch := m.launchQEMU
	if cfg.Kind == UML {
		launch = m.launchUML
	}
	if err := launch(ctx, cfg, theirs); err != nil {
		return nil, fmt.Errorf("cannot start machine: %w", err)
	}
	if cfg.Results == "" {
		go m.listen()
	}
	if cfg.Saved != "" {
		if err := m.proceed(ctx); err != nil {
			m.Kill()
			return nil, fmt.Errorf("cannot go on with a saved machine: %w", err)
		}
	}
	return m, nil
}

// launchQEMU starts a machine with QEMU, whose serial port for the agent is agent.
func (m *Machine) launchQEMU(ctx context.Context, cfg Config, agent *os.File) error {
	args, err := arguments(cfg)
	if err != nil {
		return err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	m.monitor = newMonitor(ours)
	start := func(log *os.File) (*exec.Cmd, error) {
		cmd := exec.CommandContext(ctx, qemu, args...)
		cmd.ExtraFiles = []*os.File{agent, theirs} // descriptors 3 and 4: arguments says so to QEMU
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		return cmd, cmd.Start()
	}
	return m.launch(program{
		log: filepath.Join(cfg.Dir, "qemu.log"), start: start,
		again: func(error) bool { return false },
		release: func() {
			agent.Close()
			theirs.Close()
		},
	})
}

// A program is what a machine runs as.
type program struct {
	log     string // a file for what it says
	start   func(log *os.File) (*exec.Cmd, error)
	again   func(error) bool // reports whether to start it once more after it ended so
	release func()           // is called when no more is started
}

// launch starts a program and waits for it, on one thread that lives as long as the
// machine does: the kernel ties PR_SET_PDEATHSIG to the thread that forked.
func (m *Machine) launch(p program) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.process(p, started)
		p.release()
		m.end(err)
	}()
	return <-started
}

// process runs a program until that ends the machine, and returns why. It sends to
// started once it runs for the first time, or cannot be started.
func (m *Machine) process(p program, started chan<- error) error {
	for {
		log, err := os.Create(p.log)
		if err != nil {
			started <- err
			return err
		}
		cmd, err := m.startUnlessKilled(log, p.start)
		log.Close()
		select {
		case started <- err: // the first
		default:
		}
		if err != nil {
			return err
		}
		if err = cmd.Wait(); err != nil && p.again(err) {
			// What boots next may never get as far as to say that it has.
			m.update(func() { m.failPending(ErrRestarted) })
			continue
		}
		if text, _ := os.ReadFile(p.log); err != nil && len(text) > 0 {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return err
	}
}

// startUnlessKilled starts a process of a machine that has not been killed.
func (m *Machine) startUnlessKilled(log *os.File, start func(*os.File) (*exec.Cmd, error)) (*exec.Cmd, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.killed {
		return nil, ErrEnded
	}
	cmd, err := start(log)
	if err == nil {
		m.pid = cmd.Process.Pid
	}
	return cmd, err
}

// hangUp closes the connections to QEMU and to the agent.
func (m *Machine) hangUp() {
	m.port.Close()
	if m.monitor != nil {
		m.monitor.port.Close()
	}
}

// end notes that the machine is off, and why.
func (m *Machine) end(err error) {
	m.hangUp()
	m.update(func() {
		m.ended, m.endErr = true, err
		m.failPending(fmt.Errorf("%w", ErrEnded))
	})
}

// Kill cuts the power. What the machine had not flushed to its disks is lost.
// It returns when the machine is off; its disks can then be used again.
func (m *Machine) Kill() {
	m.mu.Lock()
	m.killed = true
	if !m.ended {
		_ = syscall.Kill(-m.pid, syscall.SIGKILL)
	}
	m.mu.Unlock()
	for {
		m.mu.Lock()
		ended, changed := m.ended, m.changed
		m.mu.Unlock()
		if ended {
			return
		}
		<-changed
	}
}

// WaitOff waits until the machine has powered itself off.
func (m *Machine) WaitOff(ctx context.Context) error {
	if err := m.wait(ctx, func() bool { return m.ended }); err != nil && !errors.Is(err, ErrEnded) {
		return m.explain("did not power off", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.endErr != nil {
		return fmt.Errorf("machine ended: %w", m.endErr)
	}
	return nil
}

// update changes m's state and wakes those who wait for it.
func (m *Machine) update(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
	close(m.changed)
	m.changed = make(chan struct{})
}

// wait returns nil once done, called with m locked, says so.
func (m *Machine) wait(ctx context.Context, done func() bool) error {
	ctx, stop := m.watch(ctx)
	defer stop()
	for {
		m.mu.Lock()
		ok, ended, changed := done(), m.ended, m.changed
		m.mu.Unlock()
		switch {
		case ok:
			return nil
		case ended:
			return m.whyEnded()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// whyEnded returns ErrEnded, with what its process said if it did not end well.
func (m *Machine) whyEnded() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.endErr != nil {
		return fmt.Errorf("%w: %w", ErrEnded, m.endErr)
	}
	return ErrEnded
}

// explain adds what the console shows to an error that comes from waiting.
func (m *Machine) explain(what string, err error) error {
	return fmt.Errorf("machine %s: %w; its console ends with:\n%s", what, err, m.console.tail(40))
}

// socketPair returns a connection's two ends; ours has deadlines.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "agent"), os.NewFile(uintptr(fds[1]), "agent in QEMU"), nil
}

// pollInterval is how often files that QEMU writes are looked at.
const pollInterval = 100 * time.Millisecond
