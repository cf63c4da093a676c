package deployment

import (
	"fmt"
	"strings"
)

// An EtcMode is how a deployment keeps its /etc, as its own initramfs mounts it.
type EtcMode string

// The modes of /etc. A staged record without one means EtcOverlay.
const (
	EtcOverlay   EtcMode = "overlay"   // over the image's, with EtcUpper
	EtcBind      EtcMode = "bind"      // EtcDir itself, bootc's default
	EtcTransient EtcMode = "transient" // over the image's, on a tmpfs
	EtcNone      EtcMode = "none"      // the image's
)

// ParseEtcMode returns the mode called s; "" is not given.
func ParseEtcMode(s string) (EtcMode, error) {
	switch m := EtcMode(s); m {
	case "", EtcOverlay, EtcBind, EtcTransient, EtcNone:
		return m, nil
	}
	return "", fmt.Errorf("unknown kind of /etc %q", s)
}

// Persistent reports whether local changes survive a reboot.
func (m EtcMode) Persistent() bool { return m == EtcOverlay || m == EtcBind }

// A ConflictPolicy decides which side wins where a local change to /etc and the
// new image exclude each other.
type ConflictPolicy string

// The policies. The side that loses is set aside. Without one, it is ConflictsFail.
const (
	ConflictsFail ConflictPolicy = "fail" // stage nothing; at shutdown the same as ConflictsKeep
	ConflictsKeep ConflictPolicy = "keep" // the local version
	ConflictsNew  ConflictPolicy = "new"  // the image's version
)

// ParseConflictPolicy returns the policy called s; "" is not given.
func ParseConflictPolicy(s string) (ConflictPolicy, error) {
	switch p := ConflictPolicy(s); p {
	case "", ConflictsFail, ConflictsKeep, ConflictsNew:
		return p, nil
	}
	return "", fmt.Errorf("%q is not one of fail, keep and new", s)
}

// OrKeep returns the policy for a place where nothing can be refused:
// ConflictsNew or ConflictsKeep.
func (p ConflictPolicy) OrKeep() ConflictPolicy {
	if p == ConflictsNew {
		return p
	}
	return ConflictsKeep
}

// Staged is the record of the deployment that is to boot next: StagedRecord,
// which survives a crash, and RunStaged, which bootc reads. Both are JSON.
type Staged struct {
	ID                 ID
	FinalizationLocked bool // stage, but leave it to the administrator to make it the next

	// What follows is ours alone.
	Entry        string         // file name of the boot entry to publish
	BootID       string         // of the kernel when it was staged, /proc/sys/kernel/random/boot_id
	Etc          EtcMode        // "" means EtcOverlay
	EtcConflicts ConflictPolicy // "" means ConflictsFail
	// Published says that the entry is published already, but the deployment
	// before went on running: what it changed since then is still to be carried
	// over.
	Published bool
}

// ParseStaged reads a staged record. Unknown fields are skipped.
func ParseStaged(data []byte) (Staged, error) {
	r, err := parseRecord(data)
	if err != nil {
		return Staged{}, err
	}
	s := Staged{
		ID:                 ID(jsonMember[string](r, "depl_id")),
		FinalizationLocked: jsonMember[bool](r, "finalization_locked"),
		Entry:              jsonMember[string](r, "entry"),
		BootID:             jsonMember[string](r, "boot_id"),
		Published:          jsonMember[bool](r, "published"),
	}
	etc, conflicts := jsonMember[string](r, "etc"), jsonMember[string](r, "etc_conflicts")
	if r.err != nil {
		return Staged{}, r.err
	}
	if _, err := ParseID(string(s.ID)); err != nil {
		return Staged{}, err
	}
	if strings.ContainsAny(s.Entry, "/\x00") || s.Entry == "." || s.Entry == ".." {
		return Staged{}, fmt.Errorf("boot entry %q is not a file name", s.Entry)
	}
	if s.Etc, err = ParseEtcMode(etc); err != nil {
		return Staged{}, err
	}
	if s.EtcConflicts, err = ParseConflictPolicy(conflicts); err != nil {
		return Staged{}, fmt.Errorf("policy for conflicts of /etc: %w", err)
	}
	return s, nil
}

// Encode returns the record as one line of JSON.
func (s Staged) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"depl_id":%s,"finalization_locked":%t`, quoteJSON(string(s.ID)), s.FinalizationLocked)
	for _, m := range []struct{ name, value string }{
		{"entry", s.Entry}, {"boot_id", s.BootID}, {"etc", string(s.Etc)}, {"etc_conflicts", string(s.EtcConflicts)},
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
