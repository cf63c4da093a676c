package update

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// An entryFullFS is a file system with no room for a staged entry.
type entryFullFS struct{ durable.FS }

func (f entryFullFS) Create(name string, perm fs.FileMode) (durable.File, error) {
	if strings.HasSuffix(name, ".staged") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOSPC}
	}
	return f.FS.Create(name, perm)
}

// Whether it is the root file system that is full or the boot partition is said.
func TestWhichIsFull(t *testing.T) {
	b := newBench(t)
	m := b.open(b.copy(), nil)
	m.Boot.Through(func(fsys durable.FS) durable.FS { return entryFullFS{fsys} })
	err := b.applyError(m, "3")
	want := "no room on " + filepath.Join(m.Root.Name(), machine.BootDir)
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "root file system") {
		t.Errorf("with a full boot partition: %v; want %q in it", err, want)
	}
	b.must(m.Close())
}

// A quota that is used up is no file system without space, and is not told in MiB.
func TestQuotaIsUsedUp(t *testing.T) {
	b := newBench(t)
	m := b.open(b.copy(), nil)
	full := &fs.PathError{Op: "write", Path: "composefs/objects/x", Err: syscall.EDQUOT}
	err := m.afterFull(t.Context(), full)
	const want = "no room on the root file system: a disk quota is used up, see quota(1) or btrfs-qgroup(8): "
	if !errors.Is(err, syscall.EDQUOT) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v; want one with %q", err, want)
	}
	b.must(m.Close())
}
