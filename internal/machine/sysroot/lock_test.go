package sysroot_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// Another user can open the directory, and lock it, but not the file.
func TestLockIsRoots(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for range 2 { // made, and found
		locked, err := sysroot.TryLock(root)
		if err != nil || locked == nil {
			t.Fatalf("TryLock = %v, %v while a user has locked the directory", locked, err)
		}
		if other, err := sysroot.TryLock(root); err != nil || other != nil {
			t.Errorf("a second TryLock = %v, %v", other, err)
		}
		locked.Close()
	}
	if info, err := root.Stat(deployment.LockFile); err != nil || info.Mode() != 0o600 {
		t.Errorf("%s: %v, %v", deployment.LockFile, info.Mode(), err)
	}
}
