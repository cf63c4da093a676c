package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/record"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sysupdate-image": main, "bootc": main})
}

func TestScripts(t *testing.T) { runScripts(t, "testdata") }

// TestFull runs scripts that mount small file systems.
func TestFull(t *testing.T) {
	ns.Run(t, func(t *testing.T) { runScripts(t, "testdata/full") })
}

func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Values[askedKey{}] = new(askedState)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"asked":    asked,
			"asuser":   asUser,
			"attempts": record.Script,
			"bless":    bless,
			"busy":     busy,
			"exhaust":  exhaust,
			"last-id":  lastID,
			"layout":   layout,
			"listing":  listing,
			"loop":     loop,
			"opaque":   opaque,
			"pe":       makePE,
			"readonly": readOnly,
			"registry": serve,
			"stalled":  stalled,
			"tmpfs":    tmpfs,
			"uki":      makeUKI,
		},
	})
}
