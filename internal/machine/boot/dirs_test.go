package boot

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// openFAT opens a directory as if it were on FAT.
func openFAT(t *testing.T, dir string, wrap func(durable.FS) durable.FS) *Partition {
	p := open(t, dir, wrap)
	p.fat = true
	return p
}

func TestMakeDirsTrace(t *testing.T) {
	p, trace := traced(t, t.TempDir())
	p.fat = true
	if err := p.makeDirs(); err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, dir := range []struct{ name, mkdir string }{
		{entriesDir, "mkdir loader\nmkdir loader/entries\n"},
		{kernelsDir, "mkdir sysupdate-image\n"},
		{scratchDir, "mkdir sysupdate-image/.new\n"},
	} {
		want += dir.mkdir
		for _, step := range []string{"create", "remove"} {
			for i := range fillers {
				want += fmt.Sprintf("%s %s/%s\n", step, dir.name, filler(i))
			}
		}
	}
	want += "syncfs\nsync .\n"
	if got := trace.String(); got != want {
		t.Errorf("steps:\n%s\nwant:\n%s", got, want)
	}
	if err := p.makeDirs(); err != nil || trace.String() != want {
		t.Errorf("again: %v, steps:\n%s\nwant no more of them", err, strings.TrimPrefix(trace.String(), want))
	}
}

// A name of 255 characters takes 20 slots for itself and one for the short name.
func TestFillersFit(t *testing.T) {
	if n := len(filler(fillers)); n != 255 {
		t.Errorf("the name of a filler has %d characters", n)
	}
	const dots = 2 * 32
	if used := fillers*longestDirEntry + dots; used > dirSize || used <= dirSize-4096 {
		t.Errorf("fillers take %d bytes of %d", used, dirSize)
	}
}

// Whatever a crash leaves of the directories, the next try makes them large, and
// nothing of it stays.
func TestMakeDirsCrash(t *testing.T) {
	for n := 0; ; n++ {
		dir := t.TempDir()
		err := openFAT(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) }).makeDirs()
		made := 0
		p := openFAT(t, dir, func(fsys durable.FS) durable.FS { return countingFS{fsys, &made} })
		want := 0
		for _, name := range grownDirs {
			left, err := p.readDir(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(left) > 0 && isFiller(left[len(left)-1]) || !there(p, name) {
				want += fillers - len(slices.DeleteFunc(left, func(name string) bool { return !isFiller(name) }))
			}
		}
		if err := p.makeDirs(); err != nil || made != want {
			t.Errorf("after %d steps and again: %v, %d files made; want %d", n, err, made, want)
		}
		if got := tree(t, dir); len(got) > 0 {
			t.Errorf("after %d steps and again: there is %q", n, got)
		}
		if err == nil {
			return
		}
	}
}

// A countingFS counts files that are created.
type countingFS struct {
	durable.FS
	created *int
}

func (c countingFS) Create(name string, perm fs.FileMode) (durable.File, error) {
	f, err := c.FS.Create(name, perm)
	if err == nil {
		*c.created++
	}
	return f, err
}

func TestRoomForDirs(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ block, want int64 }{{512, 3 * dirSize}, {65536, 3 * 65536}} {
		if got, err := openFAT(t, dir, nil).roomForDirs(test.block); got != test.want || err != nil {
			t.Errorf("with blocks of %d bytes directories take %d bytes, %v; want %d", test.block, got, err, test.want)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, entriesDir), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := openFAT(t, dir, nil).roomForDirs(512); got != 2*dirSize || err != nil {
		t.Errorf("two directories take %d bytes, %v; want %d", got, err, 2*dirSize)
	}
}

// A directory that cannot be read stops what would be written there, and the error tells
// what to do.
func TestDamagedFileSystem(t *testing.T) {
	p := openFAT(t, t.TempDir(), func(fsys durable.FS) durable.FS { return brokenFS{fsys} })
	_, _, err := writeKernel(p, "kernel", "initrd")
	if err == nil || !strings.Contains(err.Error(), "fsck.vfat -a") {
		t.Errorf("WriteKernel: %v; want advice", err)
	}
}

// A brokenFS has a directory whose clusters FAT does not know.
type brokenFS struct{ durable.FS }

func (brokenFS) Mkdir(name string, perm fs.FileMode) error {
	return &fs.PathError{Op: "mkdirat", Path: name, Err: syscall.EIO}
}
