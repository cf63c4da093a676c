package deployment

import (
	"encoding/json"
	"fmt"
	"strings"
)

// How a deployment has its /etc, as its own initramfs mounts it.
const (
	EtcOverlay   = "overlay"   // over the image's, with EtcUpper
	EtcBind      = "bind"      // EtcDir itself, bootc's default
	EtcTransient = "transient" // over the image's, on a tmpfs
	EtcNone      = "none"      // the image's
)

// Staged is the record of the deployment that is to boot next: StagedRecord,
// which survives a crash, and RunStaged, which bootc reads.
type Staged struct {
	ID                 ID   `json:"depl_id"`
	FinalizationLocked bool `json:"finalization_locked"` // stage, but leave it to the administrator to make it the next

	// What follows is ours alone.
	Entry  string `json:"entry,omitempty"`   // file name of the boot entry to publish
	BootID string `json:"boot_id,omitempty"` // of the kernel when it was staged, /proc/sys/kernel/random/boot_id
	Etc    string `json:"etc,omitempty"`     // how the deployment has its /etc; "" means EtcOverlay
}

// ParseStaged reads a staged record. Fields that are not known are passed over.
func ParseStaged(data []byte) (Staged, error) {
	var s Staged
	if err := json.Unmarshal(data, &s); err != nil {
		return Staged{}, fmt.Errorf("cannot read staged record: %w", err)
	}
	if _, err := ParseID(string(s.ID)); err != nil {
		return Staged{}, fmt.Errorf("cannot read staged record: %w", err)
	}
	if strings.ContainsAny(s.Entry, "/\x00") || s.Entry == "." || s.Entry == ".." {
		return Staged{}, fmt.Errorf("cannot read staged record: boot entry %q is not a file name", s.Entry)
	}
	switch s.Etc {
	case "", EtcOverlay, EtcBind, EtcTransient, EtcNone:
	default:
		return Staged{}, fmt.Errorf("cannot read staged record: unknown kind of /etc %q", s.Etc)
	}
	return s, nil
}

// Encode returns the record as one line of JSON.
func (s Staged) Encode() []byte {
	data, err := json.Marshal(s)
	if err != nil {
		panic("deployment: cannot encode strings and a bool: " + err.Error())
	}
	return append(data, '\n')
}
