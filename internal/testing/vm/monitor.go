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
	Execute string `json:"execute"`
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

// run has QEMU carry out a command, one at a time.
func (m *monitor) run(ctx context.Context, command string) error {
	if err := wire.Write(m.port, qmpCommand{command}); err != nil {
		return err
	}
	select {
	case answer, ok := <-m.answers:
		switch {
		case !ok:
			return ErrEnded
		case answer.Error != nil:
			return errors.New(answer.Error.Description)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PressPowerButton does what a finger would: the firmware tells the kernel, and
// what comes of it is for the machine to decide.
func (m *Machine) PressPowerButton(ctx context.Context) error {
	// A connection begins with this, and it may be said again.
	for _, command := range []string{"qmp_capabilities", "system_powerdown"} {
		if err := m.monitor.run(ctx, command); err != nil {
			return fmt.Errorf("cannot press the power button: %s: %w", command, err)
		}
	}
	return nil
}
