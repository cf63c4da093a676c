package deployment

import "fmt"

// Where a soft reboot finds what it continues with, relative to the root of the running
// system. Both are gone after a reboot.
const (
	// NextRootDir is where systemd-soft-reboot.service(8) looks for another root.
	NextRootDir = "run/nextroot"
	// SoftRebootRecord holds the SoftReboot that was asked for.
	SoftRebootRecord = "run/sysupdate-image/soft-reboot.json"
)

// A SoftReboot asks that a soft reboot continues with the staged deployment.
type SoftReboot struct {
	Target Target
	Config string // of prepare-root, as the initramfs has it
}

// ParseSoftReboot reads a SoftRebootRecord. Unknown fields are skipped.
func ParseSoftReboot(data []byte) (SoftReboot, error) {
	r, err := parseRecord(data)
	if err != nil {
		return SoftReboot{}, err
	}
	s := SoftReboot{Config: jsonMember[string](r, "config")}
	target := jsonMember[string](r, "target")
	if r.err != nil {
		return SoftReboot{}, r.err
	}
	s.Target, err = parseTarget(target)
	return s, err
}

// Encode returns the record as one line of JSON.
func (s SoftReboot) Encode() []byte {
	return fmt.Appendf(nil, "{\"target\":%s,\"config\":%s}\n", quoteJSON(s.Target.String()), quoteJSON(s.Config))
}
