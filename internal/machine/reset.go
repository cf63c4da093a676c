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

// A ResetRecord tells of a reset of a machine that waits to be confirmed.
type ResetRecord struct {
	Reset Reset
	Since string // when it was made, as RFC 3339 has it
	// Boot is the boot in which the states last changed places, "" if the machine was not
	// running: until the next one, the running system uses the state that no longer counts.
	Boot string
}

// ResetOf reads the record of a reset of the machine with this physical root, which is zero if
// none waits to be confirmed. The record is in the state that counts, so that what a reset which
// was cut off has left is none. A damaged record still keeps the other state.
func ResetOf(root fs.FS) (ResetRecord, error) {
	text, err := bounded.ReadFile(root, deployment.ResetRecord, limits.Record)
	if found, err := bounded.Found(err); !found || err != nil {
		return ResetRecord{}, err
	}
	f := append(strings.Fields(string(text)), "", "", "")
	r := ResetRecord{Reset(f[0]), f[1], f[2]}
	if r.Reset != ResetUndone {
		r.Reset = ResetFresh
	}
	return r, nil
}

// Bytes returns the content of the record.
func (r ResetRecord) Bytes() []byte {
	return []byte(strings.TrimRight(string(r.Reset)+" "+r.Since+" "+r.Boot, " ") + "\n")
}
