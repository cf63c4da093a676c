// Package record makes records of boot attempts, which have a fixed size and checksums, from
// a few lines of text.
package record

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// Attempts returns the record with the fields in a text, a word KEY=VALUE or KEY for each, as
// in sysupdate-image-records(5).
func Attempts(text string) ([]byte, error) {
	var a deployment.Attempts
	for _, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.ParseUint(value, 10, 31)
		switch key {
		case "id":
			a.ID = deployment.ID(value)
		case "fallback":
			a.Fallback = deployment.ID(value)
		case "fallback-entry":
			a.FallbackEntry = value
		case "trial":
			a.Trial = true
		case "counted":
			a.Counted = true
		case "fallback-options":
			a.FallbackOptions = strings.ReplaceAll(value, "_", " ")
		case "left":
			a.Left = uint(n)
		case "done":
			a.Done = uint(n)
		case "boot":
			a.Boot = value
		case "redirects":
			a.Redirects = uint(n)
		case "failures":
			a.Failures = uint(n)
		case "reason":
			a.Reason = strings.ReplaceAll(value, "_", " ")
		default:
			return nil, fmt.Errorf("%q is no field of a record", key)
		}
	}
	return a.Encode(), nil
}

// Script is the command "attempts DIR KEY=VALUE…" of a test script: it writes the record of
// the deployment with the id below DIR.
func Script(ts *testscript.TestScript, _ bool, args []string) {
	data, err := Attempts(strings.Join(args[1:], " "))
	ts.Check(err)
	a, err := deployment.ParseAttempts(data)
	ts.Check(err)
	name := filepath.Join(ts.MkAbs(args[0]), a.ID.AttemptsFile())
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	ts.Check(os.WriteFile(name, data, 0o644))
}
