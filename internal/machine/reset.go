package machine

import (
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A Reset says whether a reset gave the machine a fresh state, and the one before it is kept.
type Reset string

const (
	NoReset     Reset = ""
	ResetFresh  Reset = "fresh"  // the fresh state counts
	ResetUndone Reset = "undone" // the state before the reset counts, and the fresh one is kept
)

// ResetOf reads whether a reset of the machine with this physical root waits to be confirmed, and
// when it was made, as RFC 3339 has it. The record is in the state that counts, so that what a
// reset which was cut off has left is none. A damaged record still keeps the other state.
func ResetOf(root fs.FS) (r Reset, since string, err error) {
	text, err := bounded.ReadFile(root, deployment.ResetRecord, limits.Record)
	if found, err := bounded.Found(err); !found || err != nil {
		return NoReset, "", err
	}
	word, since, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if r = Reset(word); r != ResetUndone {
		r = ResetFresh
	}
	return r, since, nil
}

// Record returns the content of the record of a reset.
func (r Reset) Record(since string) []byte { return []byte(string(r) + " " + since + "\n") }
