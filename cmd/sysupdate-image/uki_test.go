package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
)

// makeUKI makes a unified kernel image, or an addon if its name says so:
//
//	uki FILE DIGEST-FILE CMDLINE
//
// DIGEST in the command line is what is in the file of that name.
func makeUKI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: uki FILE DIGEST-FILE CMDLINE")
	}
	digest := strings.TrimSpace(ts.ReadFile(args[1]))
	cmdline := strings.ReplaceAll(args[2], "DIGEST", digest)
	data := ukitest.UKI(cmdline)
	if strings.HasSuffix(args[0], ".addon.efi") {
		data = ukitest.Addon(cmdline)
	}
	writeProgram(ts, args[0], data)
}

// makePE writes an EFI program with a text in it, such as a boot loader.
//
//	pe FILE TEXT
func makePE(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: pe FILE TEXT")
	}
	writeProgram(ts, args[0], ukitest.PE(ukitest.Section{Name: ".sdmagic", Content: args[1]}))
}

func writeProgram(ts *testscript.TestScript, name string, data []byte) {
	file := ts.MkAbs(name)
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	ts.Check(os.WriteFile(file, data, 0o644))
}
