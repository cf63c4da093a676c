package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/record"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sysupdate-image-generator": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"attempts": record.Script},
	})
}
