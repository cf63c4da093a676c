package status

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/schema"
)

// hostSchema is what bootc's org.containers.bootc/v1 says of the fields that are there:
// type, or values, with ? where null is allowed, and ! where the field must be there.
// Entries are below "entry", fields that are not named are of no concern.
var hostSchema = map[string]string{
	"apiVersion": "!string", "kind": "!=BootcHost", "metadata.name": "?string",
	"spec.image.image": "!string", "spec.image.transport": "!string", "spec.bootOrder": "=default,rollback",
	"status.rollbackQueued": "bool", "status.readOnly": "!bool", "status.type": "?=bootcHost",
	"status.usrOverlay": "?object", "status.usrOverlay.accessMode": "!=readOnly,readWrite",
	"status.usrOverlay.persistence": "!=transient,persistent",
	"entry.incompatible":            "!bool", "entry.pinned": "!bool", "entry.softRebootCapable": "bool", "entry.downloadOnly": "bool",
	"entry.store": "?=ostreeContainer", "entry.ostree": "?object", "entry.image": "?object", "entry.cachedUpdate": "?object",
	"entry.image.image.image": "!string", "entry.image.image.transport": "!string", "entry.image.imageDigest": "!string",
	"entry.image.architecture": "!string", "entry.image.version": "?string", "entry.image.timestamp": "?time",
	"entry.composefs.verity": "!string", "entry.composefs.bootType": "!=Bls,Uki", "entry.composefs.bootDigest": "?string",
	"entry.composefs.bootloader":           "!=grub,grub-cc,systemd,none",
	"entry.composefs.missingVerityAllowed": "!bool",
}

func TestJSONIsBootcs(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	ours, err := schema.Read("../../docs/schema/status.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	for _, path := range cases {
		ar, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(Gather(system(t, ar)).JSON())
		if err != nil {
			t.Fatal(err)
		}
		var host map[string]any
		if err := json.Unmarshal(data, &host); err != nil {
			t.Fatal(err)
		}
		problems := append(ours.Problems(string(data)), conforms(host, "")...)
		status := host["status"].(map[string]any)
		others, _ := status["otherDeployments"].([]any)
		for _, e := range append(others, status["staged"], status["booted"], status["rollback"]) {
			if entry, ok := e.(map[string]any); ok {
				entries++
				problems = append(problems, conforms(map[string]any{"entry": entry}, "entry")...)
			}
		}
		for _, p := range problems {
			t.Errorf("%s: %s", path, p)
		}
	}
	if entries < len(cases) {
		t.Errorf("%d entries in %d cases", entries, len(cases))
	}
}

// conforms says what of an object is not as hostSchema has it, for the fields that are
// below prefix, or not below "entry" if that is "".
func conforms(object map[string]any, prefix string) (problems []string) {
	for field, want := range hostSchema {
		if strings.HasPrefix(field, "entry") != (prefix == "entry") {
			continue
		}
		parts := strings.Split(field, ".")
		above, ok := object, true
		for _, part := range parts[:len(parts)-1] {
			if above, ok = above[part].(map[string]any); !ok {
				break // null, which its own line allows, or not
			}
		}
		if !ok {
			continue
		}
		value, there := above[parts[len(parts)-1]]
		if why := isOf(value, there, want); why != "" {
			problems = append(problems, fmt.Sprintf("%s is %v: %s", field, value, why))
		}
	}
	return problems
}

func isOf(value any, there bool, want string) string {
	if !there {
		if strings.HasPrefix(want, "!") {
			return "it is missing"
		}
		return ""
	}
	want = strings.TrimPrefix(want, "!")
	if value == nil {
		if strings.HasPrefix(want, "?") {
			return ""
		}
		return "it may not be null"
	}
	want = strings.TrimPrefix(want, "?")
	text, isString := value.(string)
	ok := false
	switch values, isList := strings.CutPrefix(want, "="); {
	case isList:
		ok = isString && slices.Contains(strings.Split(values, ","), text)
	case want == "string":
		ok = isString
	case want == "bool":
		_, ok = value.(bool)
	case want == "object":
		_, ok = value.(map[string]any)
	case want == "time":
		_, err := time.Parse(time.RFC3339, text)
		ok = err == nil
	}
	if !ok {
		return "want " + want
	}
	return ""
}
