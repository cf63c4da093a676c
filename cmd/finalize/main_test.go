package main

import (
	"os"
	"path/filepath"
	"testing"
	"unicode/utf16"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/record"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"finalize": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"counted": counted, "attempts": record.Script},
	})
}

// counted makes the tree $WORK/root one whose loader counts boots of the entry
// with the given path.
func counted(ts *testscript.TestScript, _ bool, args []string) {
	data := []byte{6, 0, 0, 0} // attributes
	for _, u := range utf16.Encode([]rune(args[0] + "\x00")) {
		data = append(data, byte(u), byte(u>>8))
	}
	dir := ts.MkAbs("root/sys/firmware/efi/efivars")
	ts.Check(os.MkdirAll(dir, 0o755))
	name := filepath.Join(dir, "LoaderBootCountPath-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
	ts.Check(os.WriteFile(name, data, 0o644))
}
