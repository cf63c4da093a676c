package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/record"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/schema"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sysupdate-image": main, "bootc": main})
}

// schemas is where our schemas are, from a package's directory: scripts run elsewhere.
var schemas, _ = filepath.Abs("../../docs/schema")

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
			e.Values[failedKey{}] = new(failedCommand)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"asked":        asked,
			"asuser":       asUser,
			"attempts":     record.Script,
			"bless":        bless,
			"busy":         busy,
			"exhaust":      exhaust,
			"failing":      failing,
			"follow":       follow,
			"last-id":      lastID,
			"layout":       layout,
			"listing":      listing,
			"loop":         loop,
			"waitdetached": waitDetached,
			"opaque":       opaque,
			"pe":           makePE,
			"readonly":     readOnly,
			"registry":     serve,
			"schema":       checkSchema,
			"stalled":      stalled,
			"tmpfs":        tmpfs,
			"uki":          makeUKI,
		},
	})
}

// checkSchema wants a JSON file to be as a schema of docs/schema has it:
//
//	schema NAME FILE
func checkSchema(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: schema NAME FILE")
	}
	s, err := schema.Read(filepath.Join(schemas, args[0]+".schema.json"))
	ts.Check(err)
	if problems := s.Problems(ts.ReadFile(args[1])); len(problems) > 0 {
		ts.Fatalf("%s is not as the schema %s has it: %q", args[1], args[0], problems)
	}
}
