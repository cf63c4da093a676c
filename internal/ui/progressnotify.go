package ui

import (
	"fmt"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A notifier tells systemd what a unit does, see sd_notify(3): systemctl status shows it, and
// a time limit of the unit is put off while something is done.
type notifier struct {
	socket string
	last   time.Time // of the last message
	bytes  int64     // that had come then
}

const (
	// betweenNotes is how often systemd is told how a fetch goes.
	betweenNotes = 5 * time.Second
	// extension is how long a unit may take from a sign of life to the next, if its time is over:
	// no step takes that long, and no registry is waited for that long.
	extension = 10 * time.Minute
	// notifyPatience is how long systemd has to take a message.
	notifyPatience = 100 * time.Millisecond
)

func (n *notifier) show(e event, s state) {
	switch {
	case e == stepBegun:
		n.tell(s, s.step, true)
	case e == fetchEnded:
		n.tell(s, s.summary(), true)
	case e == fetchBegun, e == goesOn && s.fetching && s.now.Sub(n.last) >= betweenNotes:
		n.tell(s, s.progressText(), e == fetchBegun || s.bytes > n.bytes)
	case e == ended || e == interrupted: // from then on the limit is one for stopping
		n.tell(s, "", false)
	}
}

// tell sends what is done, and that it goes on. That nobody listens is no error.
func (n *notifier) tell(s state, status string, alive bool) {
	n.last, n.bytes = s.now, s.bytes
	message := "STATUS=" + status
	if alive {
		message += fmt.Sprintf("\nEXTEND_TIMEOUT_USEC=%d", extension.Microseconds())
	}
	_ = sys.SendDatagram(n.socket, []byte(message), notifyPatience)
}
