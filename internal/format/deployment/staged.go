package deployment

import (
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

// What is done where a local change to /etc and the new image cannot both have
// their way.
const (
	ConflictsFail = "fail" // nothing is staged; at shutdown it is ConflictsKeep
	ConflictsKeep = "keep" // what is local stays
	ConflictsNew  = "new"  // what the new image has comes
)

// Staged is the record of the deployment that is to boot next: StagedRecord,
// which survives a crash, and RunStaged, which bootc reads. Both are JSON.
type Staged struct {
	ID                 ID
	FinalizationLocked bool // stage, but leave it to the administrator to make it the next

	// What follows is ours alone.
	Entry        string // file name of the boot entry to publish
	BootID       string // of the kernel when it was staged, /proc/sys/kernel/random/boot_id
	Etc          string // how the deployment has its /etc; "" means EtcOverlay
	EtcConflicts string // one of the Conflicts constants; "" means ConflictsFail
	// Published says that the entry is published already, but the deployment
	// before went on running: what it changed since then is still to be carried
	// over.
	Published bool
}

// ParseStaged reads a staged record. Fields that are not known are passed over.
func ParseStaged(data []byte) (Staged, error) {
	r, err := parseRecord(data)
	if err != nil {
		return Staged{}, fmt.Errorf("cannot read staged record: %w", err)
	}
	s := Staged{
		ID:                 ID(jsonMember[string](r, "depl_id")),
		FinalizationLocked: jsonMember[bool](r, "finalization_locked"),
		Entry:              jsonMember[string](r, "entry"),
		BootID:             jsonMember[string](r, "boot_id"),
		Etc:                jsonMember[string](r, "etc"),
		EtcConflicts:       jsonMember[string](r, "etc_conflicts"),
		Published:          jsonMember[bool](r, "published"),
	}
	if r.err != nil {
		return Staged{}, fmt.Errorf("cannot read staged record: %w", r.err)
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
	switch s.EtcConflicts {
	case "", ConflictsFail, ConflictsKeep, ConflictsNew:
	default:
		return Staged{}, fmt.Errorf("cannot read staged record: unknown policy for conflicts of /etc %q", s.EtcConflicts)
	}
	return s, nil
}

// Encode returns the record as one line of JSON.
func (s Staged) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"depl_id":%s,"finalization_locked":%t`, quoteJSON(string(s.ID)), s.FinalizationLocked)
	for _, m := range []struct{ name, value string }{
		{"entry", s.Entry}, {"boot_id", s.BootID}, {"etc", s.Etc}, {"etc_conflicts", s.EtcConflicts},
	} {
		if m.value != "" {
			fmt.Fprintf(&b, `,"%s":%s`, m.name, quoteJSON(m.value))
		}
	}
	if s.Published {
		b.WriteString(`,"published":true`)
	}
	b.WriteString("}\n")
	return []byte(b.String())
}
