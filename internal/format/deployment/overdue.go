package deployment

import (
	"fmt"
	"strconv"
	"strings"
)

// OverdueRecord holds the Overdue of the staged deployment, if it has one.
const OverdueRecord = StateDir + "/overdue.json"

// Overdue tells why a staged deployment has not become the next to boot at a
// shutdown that should have made it so.
type Overdue struct {
	ID     ID
	Boots  int    // how many boots there have been since it was staged
	BootID string // of the last boot that was counted
	// Error says why finalize failed, and ErrorTime (RFC 3339) and ErrorBootID when.
	// It is empty if finalize never had a say, as after a power cut.
	Error, ErrorTime, ErrorBootID string
}

// ParseOverdue reads an OverdueRecord. Unknown fields are skipped.
func ParseOverdue(data []byte) (Overdue, error) {
	r, err := parseRecord(data)
	if err != nil {
		return Overdue{}, err
	}
	o := Overdue{
		BootID:      jsonMember[string](r, "boot_id"),
		Error:       jsonMember[string](r, "error"),
		ErrorTime:   jsonMember[string](r, "error_time"),
		ErrorBootID: jsonMember[string](r, "error_boot_id"),
	}
	id, boots := jsonMember[string](r, "depl_id"), jsonMember[jsonNumber](r, "boots")
	if r.err != nil {
		return Overdue{}, r.err
	}
	if o.ID, err = ParseID(id); err != nil {
		return Overdue{}, err
	}
	if o.Boots, err = strconv.Atoi(string(boots)); boots != "" && err != nil {
		return Overdue{}, fmt.Errorf("boots is %s, which is not a whole number", boots)
	}
	return o, nil
}

// Encode returns the record as JSON, for people as well.
func (o Overdue) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  \"depl_id\": %s,\n  \"boots\": %d", quoteJSON(string(o.ID)), o.Boots)
	for _, m := range []struct{ name, value string }{
		{"boot_id", o.BootID}, {"error", o.Error}, {"error_time", o.ErrorTime}, {"error_boot_id", o.ErrorBootID},
	} {
		if m.value != "" {
			fmt.Fprintf(&b, ",\n  %s: %s", quoteJSON(m.name), quoteJSON(m.value))
		}
	}
	b.WriteString("\n}\n")
	return []byte(b.String())
}
