package main

import (
	"path/filepath"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// opaque notes, as overlayfs does, that nothing of the image is seen through the
// directories that match a pattern:
//
//	opaque PATTERN
func opaque(ts *testscript.TestScript, _ bool, args []string) {
	dirs, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(dirs) == 0 {
		ts.Fatalf("opaque %s: no such directory", args[0])
	}
	for _, dir := range dirs {
		ts.Check(syscall.Setxattr(dir, "trusted.overlay.opaque", []byte("y"), 0))
	}
}
