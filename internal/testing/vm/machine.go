// Package vm runs whole machines for tests and the demo. It hides QEMU: how
// a machine is started without hardware help, how scripts run in it, how its
// power fails, and that nothing of it is left when the test ends.
package vm

import (
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

// A Config describes a machine.
type Config struct {
	// Dir keeps what a machine has besides its disks: the firmware's variables
	// and the console log. It must exist; a machine that is started again with the
	// same Dir finds its variables again.
	Dir string
	// Kernel, Initrd and Cmdline boot without firmware. When Kernel is empty the
	// machine boots from the EFI system partition of its first disk.
	Kernel, Initrd, Cmdline string
	Disks                   []Disk
	// MemoryMiB and CPUs default to 1536 and 2.
	MemoryMiB, CPUs int
	// KVM says that the host's KVM works, see TryKVM.
	KVM bool
}

// A Machine is a running virtual machine, or one that ended.
type Machine struct {
	console console
	port    *os.File // to the agent
	monitor *monitor
	process *os.Process

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever something below changes
	boots   []string      // ids of the boots whose agent said hello
	seen    int           // how many of them WaitBoot has returned
	hellos  int           // how often an agent said so
	pending map[uint64]chan outcome
	lastID  uint64
	ended   bool
	endErr  error
}

// ErrEnded is what waiting for a machine returns that is not running any more.
var ErrEnded = errors.New("the machine is off")

// Start starts a machine. It ends when ctx does, when it powers itself off, or by
// Kill; and it never outlives the calling process.
func Start(ctx context.Context, cfg Config) (*Machine, error) {
	args, err := arguments(cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot start machine: %w", err)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("cannot start machine: %w", err)
	}
	defer theirs.Close()
	oursQMP, theirsQMP, err := socketPair()
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("cannot start machine: %w", err)
	}
	defer theirsQMP.Close()
	m := &Machine{
		console: openConsole(filepath.Join(cfg.Dir, consoleName)),
		port:    ours,
		monitor: newMonitor(oursQMP),
		changed: make(chan struct{}),
		pending: make(map[uint64]chan outcome),
	}
	cmd := exec.CommandContext(ctx, qemu, args...)
	cmd.ExtraFiles = []*os.File{theirs, theirsQMP} // descriptors 3 and 4: arguments says so to QEMU
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(cfg.Dir, "qemu.log"))
	if err != nil {
		m.hangUp()
		return nil, fmt.Errorf("cannot start machine: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := m.launch(cmd, log.Name()); err != nil {
		m.hangUp()
		return nil, fmt.Errorf("cannot start machine: %w", err)
	}
	go m.listen()
	return m, nil
}

// launch starts QEMU and waits for it, both on one thread that lives as long as
// QEMU does: the kernel ties PR_SET_PDEATHSIG to the thread that forked.
func (m *Machine) launch(cmd *exec.Cmd, log string) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			m.process = cmd.Process
		}
		started <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		if text, _ := os.ReadFile(log); err != nil && len(text) > 0 {
			err = fmt.Errorf("%w: %s", err, text)
		}
		m.end(err)
	}()
	return <-started
}

// hangUp closes the connections to QEMU and to the agent.
func (m *Machine) hangUp() {
	m.port.Close()
	m.monitor.port.Close()
}

// end notes that QEMU ended, and why.
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
	_ = m.process.Kill()
	_ = m.wait(context.Background(), func() bool { return m.ended })
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

// whyEnded returns ErrEnded, with what QEMU said if it did not end well.
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
