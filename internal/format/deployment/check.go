package deployment

import (
	"fmt"
	"path"
	"strings"
)

// A FailedCheck is an executable that was to tell whether a boot is good, and did not find
// it so.
type FailedCheck struct {
	Path   string
	Result string // one of those below
	Status string // the exit status, or the number of the signal; else ""
	Output string // the last line that it wrote, or why it could not be started
}

// The results of a check that failed. Those that systemd has too are as in systemd.exec(5).
const (
	ExitedCheck     = "exit-code"
	KilledCheck     = "signal"
	TimedOutCheck   = "timeout"
	UnstartedCheck  = "exec"
	UnfinishedCheck = "running" // it was when the whole boot had taken too long
)

// ShortOutput returns a line of output as a record keeps it.
func ShortOutput(line string) string {
	const most = 300 // bytes
	if len(line) > most {
		return shorten(line, most)
	}
	return line
}

// Name returns what people call the check.
func (c FailedCheck) Name() string { return path.Base(c.Path) }

// How tells how the check failed, as in "exit status 1".
func (c FailedCheck) How() string {
	switch c.Result {
	case ExitedCheck:
		return "exit status " + c.Status
	case KilledCheck:
		return "killed by signal " + c.Status
	case TimedOutCheck:
		return "timed out"
	case UnstartedCheck:
		return "could not be started"
	case UnfinishedCheck:
		return "still running"
	}
	return c.Result
}

// String returns the check as a message names it: "check net.sh failed (exit status 1):
// no route to host".
func (c FailedCheck) String() string {
	text := "check " + c.Name() + " failed (" + c.How() + ")"
	if c.Output != "" {
		text += ": " + c.Output
	}
	return text
}

// encode returns the check as a JSON object on a line.
func (c FailedCheck) encode() string {
	return fmt.Sprintf(`{"check": %s, "result": %s, "status": %s, "output": %s}`,
		quoteJSON(c.Path), quoteJSON(c.Result), quoteJSON(c.Status), quoteJSON(c.Output))
}

// failedChecks reads the member of an object that is a list of checks.
func failedChecks(r *jsonRecord, name string) []FailedCheck {
	var checks []FailedCheck
	eachObject(r, name, func(c *jsonRecord) {
		checks = append(checks, FailedCheck{
			Path:   jsonMember[string](c, "check"),
			Result: jsonMember[string](c, "result"),
			Status: jsonMember[string](c, "status"),
			Output: jsonMember[string](c, "output"),
		})
	})
	return checks
}

// RunHealth holds the Health of the running system, relative to its root.
const RunHealth = "run/sysupdate-image/health.json"

// Health is what the checks of this boot have found so far.
type Health struct {
	ID      ID // of the deployment: after a soft reboot another one runs, in the same boot of the kernel
	BootID  string
	Running string        // the path of the check that is running, "" once all are done
	Failed  []FailedCheck // a boot on trial is not good with one of these
	Warned  []FailedCheck // these would only be nice to have
}

// ParseHealth reads a RunHealth. Unknown fields are skipped.
func ParseHealth(data []byte) (Health, error) {
	r, err := parseRecord(data)
	if err != nil {
		return Health{}, err
	}
	h := Health{
		ID: ID(jsonMember[string](r, "depl_id")), BootID: jsonMember[string](r, "boot_id"), Running: jsonMember[string](r, "running"),
	}
	h.Failed, h.Warned = failedChecks(r, "failed_checks"), failedChecks(r, "failed_wanted_checks")
	if r.err != nil {
		return Health{}, r.err
	}
	return h, nil
}

// Encode returns the record as JSON, for people as well.
func (h Health) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  \"depl_id\": %s,\n  \"boot_id\": %s,\n  \"running\": %s", quoteJSON(string(h.ID)), quoteJSON(h.BootID), quoteJSON(h.Running))
	writeList(&b, "failed_checks", h.Failed, FailedCheck.encode)
	writeList(&b, "failed_wanted_checks", h.Warned, FailedCheck.encode)
	b.WriteString("\n}\n")
	return []byte(b.String())
}
