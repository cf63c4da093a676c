package records

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// FuzzPins reads the directory of pins with a file of any name and content.
func FuzzPins(f *testing.F) {
	f.Add(strings.Repeat("a", 128), []byte("before-upgrade\n"))
	f.Add(strings.Repeat("a", 64), []byte("booted"))
	f.Add("x", []byte("\x1b[0m"))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return
		}
		pins, err := LoadPins(fstest.MapFS{deployment.PinsDir + "/" + name: {Data: content}})
		if err != nil {
			return // no name for an fs.FS
		}
		for id, pin := range pins {
			if string(id) != name || pin != "" && deployment.CheckPinName(pin) != nil {
				t.Errorf("pin %q of deployment %q", pin, id)
			}
			if found, err := deployment.Match(string(id), []deployment.ID{id}, pins); err != nil || found != id {
				t.Errorf("Match(%q) = %q, %v", id, found, err)
			}
		}
	})
}
