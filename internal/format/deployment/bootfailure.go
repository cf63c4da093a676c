package deployment

import (
	"fmt"
	"strings"
)

// BootFailuresDir holds a BootFailure for each deployment that has one.
const BootFailuresDir = StateDir + "/boot-failures"

// BootFailureSuffix ends the names of the files in BootFailuresDir.
const BootFailureSuffix = ".json"

// BootFailureFile returns where the last BootFailure of the deployment is kept.
func (id ID) BootFailureFile() string { return BootFailuresDir + "/" + string(id) + BootFailureSuffix }

// A BootFailure tells, after the machine has fallen back, why a boot on trial never
// reached boot-complete.target.
type BootFailure struct {
	ID     ID
	Entry  string // file name of the boot entry, with the tries that were left
	BootID string // of the kernel, as journalctl --boot= takes it
	Time   string // RFC 3339
	Image  string // manifest digest of the image; "" until the updater has noted it
	// Reason is half a sentence on why the boot failed before there were units and checks,
	// as in the initramfs; else "".
	Reason string
	// Failed are the units that have failed, and Checks those of the checks that did. If
	// there are none the boot took too long: then Waiting tells what it waited for.
	Failed  []FailedUnit
	Checks  []FailedCheck
	Waiting []string
}

// HealthCheckService is the unit that runs the checks of a boot.
const HealthCheckService = "sysupdate-image-health-check.service"

// A FailedUnit is a systemd unit that has failed.
type FailedUnit struct {
	Name        string `json:"unit"`
	Description string `json:"description,omitempty"`
	Result      string `json:"result,omitempty"` // such as "exit-code", see systemd.exec(5)
	Status      string `json:"status,omitempty"` // of the main process, if it exited
}

// String returns the unit as a message names it: "x.service (exit-code, status 1)".
func (u FailedUnit) String() string {
	switch {
	case u.Result == "":
		return u.Name
	case u.Status == "" || u.Status == "0":
		return u.Name + " (" + u.Result + ")"
	}
	return u.Name + " (" + u.Result + ", status " + u.Status + ")"
}

// ParseBootFailure reads a BootFailureFile. Unknown fields are skipped.
func ParseBootFailure(data []byte) (BootFailure, error) {
	r, err := parseRecord(data)
	if err != nil {
		return BootFailure{}, err
	}
	f := BootFailure{
		Entry:  jsonMember[string](r, "entry"),
		BootID: jsonMember[string](r, "boot_id"),
		Time:   jsonMember[string](r, "time"),
		Image:  jsonMember[string](r, "manifest_digest"),
		Reason: jsonMember[string](r, "reason"),
	}
	id := jsonMember[string](r, "depl_id")
	eachObject(r, "failed_units", func(u *jsonRecord) {
		f.Failed = append(f.Failed, FailedUnit{
			Name:        jsonMember[string](u, "unit"),
			Description: jsonMember[string](u, "description"),
			Result:      jsonMember[string](u, "result"),
			Status:      jsonMember[string](u, "status"),
		})
	})
	f.Checks = failedChecks(r, "failed_checks")
	for _, v := range jsonMember[[]any](r, "waiting_for") {
		name, _ := v.(string)
		f.Waiting = append(f.Waiting, name)
	}
	if r.err != nil {
		return BootFailure{}, r.err
	}
	if f.ID, err = ParseID(id); err != nil {
		return BootFailure{}, err
	}
	return f, nil
}

// Why tells in half a sentence why the boot failed, "" if nothing is known.
func (f BootFailure) Why() string {
	var why, units []string
	if f.Reason != "" {
		why = append(why, f.Reason)
	}
	for _, c := range f.Checks {
		why = append(why, c.String())
	}
	for _, u := range f.Failed {
		if u.Name != HealthCheckService || len(f.Checks) == 0 { // which a check says better
			units = append(units, u.String())
		}
	}
	if len(units) > 0 {
		why = append(why, strings.Join(units, ", ")+" failed")
	}
	if len(why) == 0 && len(f.Waiting) > 0 {
		return "it was still waiting for " + strings.Join(f.Waiting, ", ")
	}
	return strings.Join(why, "; ")
}

// Encode returns the failure as JSON, for people as well.
func (f BootFailure) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  \"depl_id\": %s,\n  \"entry\": %s,\n  \"boot_id\": %s,\n  \"time\": %s",
		quoteJSON(string(f.ID)), quoteJSON(f.Entry), quoteJSON(f.BootID), quoteJSON(f.Time))
	if f.Image != "" {
		fmt.Fprintf(&b, ",\n  \"manifest_digest\": %s", quoteJSON(f.Image))
	}
	if f.Reason != "" {
		fmt.Fprintf(&b, ",\n  \"reason\": %s", quoteJSON(f.Reason))
	}
	writeList(&b, "failed_checks", f.Checks, FailedCheck.encode)
	writeList(&b, "failed_units", f.Failed, func(u FailedUnit) string {
		return fmt.Sprintf(`{"unit": %s, "description": %s, "result": %s, "status": %s}`,
			quoteJSON(u.Name), quoteJSON(u.Description), quoteJSON(u.Result), quoteJSON(u.Status))
	})
	writeList(&b, "waiting_for", f.Waiting, quoteJSON)
	b.WriteString("\n}\n")
	return []byte(b.String())
}

// writeList writes the member of an object that is a list, unless that is empty.
func writeList[T any](b *strings.Builder, name string, list []T, encode func(T) string) {
	for i, v := range list {
		if i == 0 {
			fmt.Fprintf(b, ",\n  %s: [", quoteJSON(name))
		} else {
			b.WriteByte(',')
		}
		b.WriteString("\n    " + encode(v))
	}
	if len(list) > 0 {
		b.WriteString("\n  ]")
	}
}
