package vm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm/wire"
)

// A Result is how a script in the machine ended.
type Result struct {
	Stdout, Stderr string
	// Exit is the exit status; 128 + n after signal n.
	Exit int
	Took time.Duration
}

// Err returns nil when the script succeeded, else an error that shows its output.
func (r Result) Err() error {
	if r.Exit == 0 {
		return nil
	}
	return fmt.Errorf("exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
}

// ErrRestarted is what a script gets whose machine, or agent, went down before it
// had ended.
var ErrRestarted = errors.New("the machine went down meanwhile")

// outcome is what arrives for a script.
type outcome struct {
	response wire.Response
	err      error
}

// Run runs a script with sh(1) as root and returns how it ended: an error means
// that it could not run or is not known to have ended. When ctx ends, the script
// and what it started are killed.
func (m *Machine) Run(ctx context.Context, script string) (Result, error) {
	return m.run(ctx, wire.Request{Script: script})
}

// Must runs a script that has to succeed and returns what it wrote to its
// standard output, without the last line break.
func (m *Machine) Must(ctx context.Context, script string) (string, error) {
	result, err := m.Run(ctx, script)
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return "", fmt.Errorf("in the machine: %s: %w", script, err)
	}
	return strings.TrimSuffix(result.Stdout, "\n"), nil
}

// WriteFile writes a file in the machine.
func (m *Machine) WriteFile(ctx context.Context, name string, data []byte) error {
	result, err := m.run(ctx, wire.Request{Script: "cat > " + Quote(name), Stdin: data})
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot write %s in the machine: %w", name, err)
	}
	return nil
}

// Journal returns the journal of the boot with this number, as journalctl --boot
// counts: 0 is the running one, -1 the one before.
func (m *Machine) Journal(ctx context.Context, boot int) (string, error) {
	return m.Must(ctx, fmt.Sprintf("journalctl --no-pager --output=short-monotonic --boot=%d", boot))
}

// Quote returns s as one word of a shell script.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (m *Machine) run(ctx context.Context, req wire.Request) (Result, error) {
	began := time.Now()
	ctx, stop := m.watch(ctx)
	defer stop()
	answer, err := m.send(&req)
	if err != nil {
		return Result{}, err
	}
	select {
	case o := <-answer:
		if o.err == nil && o.response.Error != "" {
			o.err = errors.New(o.response.Error)
		}
		r := o.response
		return Result{string(r.Stdout), string(r.Stderr), r.Exit, time.Since(began)}, o.err
	case <-ctx.Done():
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.pending, req.ID)
		_ = wire.Write(m.port, wire.Request{ID: req.ID, Kill: true})
		return Result{}, fmt.Errorf("script did not end: %w; the console ends with:\n%s", context.Cause(ctx), m.console.tail(20))
	}
}

// send sends a request and returns where its outcome will arrive.
func (m *Machine) send(req *wire.Request) (chan outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ended && m.endErr != nil:
		return nil, fmt.Errorf("%w: %w", ErrEnded, m.endErr)
	case m.ended:
		return nil, ErrEnded
	case len(m.boots) == 0:
		return nil, errors.New("the machine has not booted: WaitBoot comes first")
	}
	m.lastID++
	req.ID = m.lastID
	answer := make(chan outcome, 1)
	m.pending[req.ID] = answer
	if err := m.port.SetWriteDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	if err := wire.Write(m.port, req); err != nil {
		delete(m.pending, req.ID)
		return nil, fmt.Errorf("cannot reach the machine's agent: %w", err)
	}
	return answer, nil
}

// listen takes what agents write, boot after boot, until the machine is off.
func (m *Machine) listen() {
	lines := bufio.NewReader(m.port)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var msg wire.Message
		if json.Unmarshal(bytes.TrimSpace(line), &msg) != nil {
			continue // cut off when a boot ended
		}
		switch {
		case msg.Hello != nil:
			m.update(func() { m.hello(msg.Hello.BootID) })
		case msg.Response != nil:
			m.update(func() { m.deliver(*msg.Response) })
		}
	}
}

func (m *Machine) hello(bootID string) {
	m.failPending(ErrRestarted)
	m.hellos++
	if !slices.Contains(m.boots, bootID) {
		m.boots = append(m.boots, bootID)
	}
}

func (m *Machine) deliver(r wire.Response) {
	if answer, ok := m.pending[r.ID]; ok {
		delete(m.pending, r.ID)
		answer <- outcome{response: r}
	}
}

func (m *Machine) failPending(err error) {
	for id, answer := range m.pending {
		delete(m.pending, id)
		answer <- outcome{err: err}
	}
}

// WaitBoot waits until scripts can run in a boot that it has not returned before,
// and returns the kernel's id for it.
func (m *Machine) WaitBoot(ctx context.Context) (string, error) {
	if err := m.wait(ctx, func() bool { return len(m.boots) > m.seen }); err != nil {
		return "", m.explain("did not boot", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = len(m.boots)
	return m.boots[m.seen-1], nil
}

// WaitSettled waits until the boot is over, all of its units started or failed,
// and returns what systemctl is-system-running says then.
func (m *Machine) WaitSettled(ctx context.Context) (string, error) {
	result, err := m.Run(ctx, "systemctl is-system-running --wait")
	return strings.TrimSpace(result.Stdout), err
}

// Reboot asks the machine to reboot and waits until it is back.
func (m *Machine) Reboot(ctx context.Context) error {
	return m.RebootBy(ctx, "systemctl reboot")
}

// RebootBy runs a command after which the machine reboots, and waits until it is
// back.
func (m *Machine) RebootBy(ctx context.Context, command string) error {
	if err := m.ask(ctx, command); err != nil {
		return fmt.Errorf("cannot reboot machine: %w", err)
	}
	_, err := m.WaitBoot(ctx)
	return err
}

// SoftReboot asks the machine to restart all but the kernel and waits until it is
// back. For WaitBoot this is no boot.
func (m *Machine) SoftReboot(ctx context.Context) error {
	return m.SoftRebootBy(ctx, "systemctl soft-reboot")
}

// SoftRebootBy is SoftReboot by a command.
func (m *Machine) SoftRebootBy(ctx context.Context, command string) error {
	m.mu.Lock()
	before := m.hellos
	m.mu.Unlock()
	if err := m.ask(ctx, command); err != nil {
		return fmt.Errorf("cannot reboot machine: %w", err)
	}
	if err := m.wait(ctx, func() bool { return m.hellos > before }); err != nil {
		return m.explain("did not come back", err)
	}
	return nil
}

// Halt asks the machine to stop without powering itself off, waits until it has,
// and cuts the power.
func (m *Machine) Halt(ctx context.Context) error {
	if err := m.ask(ctx, "systemctl halt"); err != nil {
		return fmt.Errorf("cannot halt machine: %w", err)
	}
	if err := m.WaitConsole(ctx, "reboot: System halted"); err != nil {
		return err
	}
	m.Kill()
	return nil
}

// PowerOff asks the machine to power off and waits until it is.
func (m *Machine) PowerOff(ctx context.Context) error {
	if err := m.ask(ctx, "systemctl poweroff"); err != nil {
		return fmt.Errorf("cannot power off machine: %w", err)
	}
	return m.WaitOff(ctx)
}

// ask runs a command that brings the machine down, perhaps before it can answer.
func (m *Machine) ask(ctx context.Context, command string) error {
	if strings.HasPrefix(command, "systemctl ") {
		command += " --no-block"
	}
	result, err := m.Run(ctx, command)
	if errors.Is(err, ErrRestarted) || errors.Is(err, ErrEnded) {
		return nil
	}
	if err == nil && result.Exit != terminated {
		err = result.Err()
	}
	return err
}

// terminated is the exit status of a command whose shell got SIGTERM: the shutdown that it
// asked for was faster than its answer.
const terminated = 128 + 15
