// Package wire hides how a test and the agent in its virtual machine talk: one
// JSON document a line, over a virtio-serial port that outlives reboots.
package wire

import (
	"encoding/json"
	"fmt"
	"io"
)

// PortName is the name of the virtio-serial port; in the guest it appears
// below /dev/virtio-ports.
const PortName = "sysupdate-image.agent"

// PortOption comes before the path of the agent's port on the kernel command line of
// a machine without virtio.
const PortOption = "test-agent="

// A Hello is the first line of each agent that starts. What the host reads
// before it, apart from earlier whole lines, is the rest of a boot that ended.
type Hello struct {
	// BootID is the kernel's /proc/sys/kernel/random/boot_id.
	BootID string
}

// A Request asks the agent to run a script with sh(1), or to kill one.
type Request struct {
	// ID is chosen by the host and comes back in the Response.
	ID     uint64
	Script string `json:",omitempty"`
	Stdin  []byte `json:",omitempty"`
	// Kill says to send SIGKILL to the process group of the script whose
	// request had this ID, instead of running one.
	Kill bool `json:",omitempty"`
}

// A Response says how a script ended.
type Response struct {
	ID     uint64
	Stdout []byte `json:",omitempty"`
	Stderr []byte `json:",omitempty"`
	// Exit is the exit status, or 128 + the number of the signal that ended it.
	Exit int
	// Error says why the script could not be run at all.
	Error string `json:",omitempty"`
}

// A Message is what the agent writes: one of its fields is set.
type Message struct {
	Hello    *Hello    `json:",omitempty"`
	Response *Response `json:",omitempty"`
}

// Write writes v as one line.
func Write(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode message: %w", err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
