package deployment

import (
	"fmt"
	"strconv"
	"strings"
)

// CheckedRecord holds what the running system last learned of the image that it follows,
// relative to its root. A reboot removes it.
const CheckedRecord = "run/sysupdate-image/checked.json"

// Checked tells which image a reference led to when it was last looked at.
type Checked struct {
	Time           string // RFC 3339
	Reference      string // with its transport
	ManifestDigest string
	Version        string // as the image's label has it, "" if that was not read
	Created        string // RFC 3339, "" likewise
	Architecture   string // in OCI's words, "" likewise
	FetchBytes     int64  // what was to be fetched of it then
}

// ParseChecked reads a CheckedRecord. Unknown fields are skipped.
func ParseChecked(data []byte) (Checked, error) {
	r, err := parseRecord(data)
	if err != nil {
		return Checked{}, err
	}
	c := Checked{
		Time: jsonMember[string](r, "time"), Reference: jsonMember[string](r, "reference"),
		ManifestDigest: jsonMember[string](r, "manifest_digest"), Version: jsonMember[string](r, "version"),
		Created: jsonMember[string](r, "created"), Architecture: jsonMember[string](r, "architecture"),
	}
	bytes := jsonMember[jsonNumber](r, "fetch_bytes")
	if r.err != nil {
		return Checked{}, r.err
	}
	if c.Reference == "" || c.ManifestDigest == "" {
		return Checked{}, fmt.Errorf("it names no image")
	}
	if bytes != "" {
		if c.FetchBytes, err = strconv.ParseInt(string(bytes), 10, 64); err != nil || c.FetchBytes < 0 {
			return Checked{}, fmt.Errorf("fetch_bytes is %s, which is no number of bytes", bytes)
		}
	}
	return c, nil
}

// Encode returns the record as JSON, for people as well.
func (c Checked) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  \"fetch_bytes\": %d", c.FetchBytes)
	for _, m := range []struct{ name, value string }{
		{"time", c.Time}, {"reference", c.Reference}, {"manifest_digest", c.ManifestDigest},
		{"version", c.Version}, {"created", c.Created}, {"architecture", c.Architecture},
	} {
		if m.value != "" {
			fmt.Fprintf(&b, ",\n  %s: %s", quoteJSON(m.name), quoteJSON(m.value))
		}
	}
	b.WriteString("\n}\n")
	return []byte(b.String())
}
