package deployment

import (
	"fmt"
	"slices"
	"strings"
)

// ESPsRecord holds the ESPs of a machine that keeps more than one.
const ESPsRecord = StateDir + "/esps.json"

// MostESPs is how many a machine keeps equal at most.
const MostESPs = 16

// ESPs are the EFI system partitions that are kept equal, by their PARTUUIDs in lower case. The one
// that the machine boots from is among them, so that it is brought up to date when the machine has
// booted from another one meanwhile.
type ESPs []string

// ParseESPs reads an ESPsRecord. Unknown fields are skipped.
func ParseESPs(data []byte) (ESPs, error) {
	r, err := parseRecord(data)
	if err != nil {
		return nil, err
	}
	var all ESPs
	eachObject(r, "esps", func(object *jsonRecord) { all = append(all, jsonMember[string](object, "partuuid")) })
	if r.err != nil {
		return nil, r.err
	}
	for i, uuid := range all {
		switch {
		case !IsPartUUID(uuid):
			return nil, fmt.Errorf("partuuid %q is not a UUID in lower case", uuid)
		case slices.Contains(all[:i], uuid):
			return nil, fmt.Errorf("partuuid %q is there twice", uuid)
		}
	}
	if len(all) > MostESPs {
		return nil, fmt.Errorf("%d partitions: want at most %d", len(all), MostESPs)
	}
	return all, nil
}

// IsPartUUID reports whether a text is the UUID of a partition in a GPT, in lower case.
func IsPartUUID(text string) bool {
	return len(text) == 36 && strings.Trim(text, "0123456789abcdef-") == ""
}

// Encode returns the record as JSON.
func (e ESPs) Encode() []byte {
	var lines []string
	for _, uuid := range e {
		lines = append(lines, fmt.Sprintf("\n    {\"partuuid\": %s}", quoteJSON(uuid)))
	}
	return fmt.Appendf(nil, "{\n  \"esps\": [%s\n  ]\n}\n", strings.Join(lines, ","))
}
