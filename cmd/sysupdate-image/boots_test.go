package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// lastID puts the deployment id with which the last output ends into the
// environment:
//
//	last-id stdout VARIABLE
func lastID(ts *testscript.TestScript, _ bool, args []string) {
	words := strings.Fields(ts.ReadFile(args[0]))
	if len(words) == 0 || len(words[len(words)-1]) != 128 {
		ts.Fatalf("%s does not end with a deployment id", args[0])
	}
	ts.Setenv(args[1], words[len(words)-1])
}

// bless does to all entries what systemd-bless-boot does to the one that booted:
//
//	bless SYSROOT
func bless(ts *testscript.TestScript, _ bool, args []string) {
	renameEntries(ts, args[0], "", "")
}

// exhaust does to a deployment's entry what the loader does in three boots that
// fail:
//
//	exhaust SYSROOT ID
func exhaust(ts *testscript.TestScript, _ bool, args []string) {
	renameEntries(ts, args[0], args[1][:12], "+0-3")
}

// renameEntries gives entries with tries, of those whose name has part in it,
// others.
func renameEntries(ts *testscript.TestScript, sysroot, part, tries string) {
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(sysroot), "boot/loader/entries/*"+part+"*+*.conf"))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no entry has tries")
	}
	for _, file := range files {
		base, _, _ := strings.Cut(file, "+")
		ts.Check(os.Rename(file, base+tries+".conf"))
	}
}
