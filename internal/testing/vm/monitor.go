package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm/wire"
)

// A monitor is the connection to QEMU itself, in the QEMU Machine Protocol.
type monitor struct {
	port    io.ReadWriteCloser
	answers chan qmpAnswer
	begun   bool // QEMU takes commands
}

// A qmpAnswer is what QEMU writes that is neither a greeting nor an event: what
// a command came to.
type qmpAnswer struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Description string `json:"desc"`
	} `json:"error"`
}

type qmpCommand struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
}

// newMonitor begins to read what QEMU writes, until it ends.
func newMonitor(port io.ReadWriteCloser) *monitor {
	m := &monitor{port: port, answers: make(chan qmpAnswer, 1)}
	go m.listen()
	return m
}

func (m *monitor) listen() {
	defer close(m.answers)
	messages := json.NewDecoder(m.port)
	for {
		var answer qmpAnswer
		if messages.Decode(&answer) != nil {
			return
		}
		if answer.Return != nil || answer.Error != nil {
			m.answers <- answer
		}
	}
}

// run has QEMU carry out a command, one at a time, and returns what it answers. The first
// one begins the connection.
func (m *monitor) run(ctx context.Context, command string, arguments any) (json.RawMessage, error) {
	if !m.begun {
		if _, err := m.ask(ctx, "qmp_capabilities", nil); err != nil {
			return nil, err
		}
		m.begun = true
	}
	return m.ask(ctx, command, arguments)
}

func (m *monitor) ask(ctx context.Context, command string, arguments any) (json.RawMessage, error) {
	if err := wire.Write(m.port, qmpCommand{command, arguments}); err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	select {
	case answer, ok := <-m.answers:
		switch {
		case !ok:
			return nil, fmt.Errorf("%s: %w", command, ErrEnded)
		case answer.Error != nil:
			return nil, fmt.Errorf("%s: %s", command, answer.Error.Description)
		}
		return answer.Return, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", command, ctx.Err())
	}
}

// PressPowerButton does what a finger would: the firmware tells the kernel, and
// what comes of it is for the machine to decide.
func (m *Machine) PressPowerButton(ctx context.Context) error {
	if m.monitor == nil {
		return errors.New("the machine has no power button")
	}
	if _, err := m.monitor.run(ctx, "system_powerdown", nil); err != nil {
		return fmt.Errorf("cannot press the power button: %w", err)
	}
	return nil
}

// Plug adds the disk with the number i of the machine's, which is one that comes late.
func (m *Machine) Plug(ctx context.Context, i int, d Disk) error {
	if m.monitor == nil || !d.Late {
		return fmt.Errorf("disk %s cannot be plugged in", d.Serial)
	}
	arguments := map[string]string{
		"driver": "virtio-blk-pci", "drive": fmt.Sprintf("disk%d", i), "serial": d.Serial, "bus": slotOf(d.Serial), "id": "late-" + d.Serial,
	}
	if _, err := m.monitor.run(ctx, "device_add", arguments); err != nil {
		return fmt.Errorf("cannot plug in disk %s: %w", d.Serial, err)
	}
	return nil
}
