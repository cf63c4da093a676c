package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

func writeKernel(p *Partition, linux, initrd string, superseded ...deployment.ID) (string, bool, error) {
	return p.WriteKernel(context.Background(), strings.NewReader(linux), strings.NewReader(initrd), superseded...)
}

// blsParts are the names of what writeKernel writes.
var blsParts = []part{{name: linuxFile}, {name: initrdFile}}

func TestWriteKernelTrace(t *testing.T) {
	dir := t.TempDir()
	p, trace := traced(t, dir)
	digest, created, err := writeKernel(p, "kernel", "initrd")
	if err != nil || !created {
		t.Fatalf("WriteKernel = %q, %v, %v; want it created", digest, created, err)
	}
	// StageEntry syncs, before anything names the kernel.
	const want = `mkdir loader
mkdir loader/entries
mkdir sysupdate-image
mkdir sysupdate-image/.new
syncfs
sync .
mkdir sysupdate-image/.new/BOOT-D
syncfs
sync .
rename sysupdate-image/.new/BOOT-D sysupdate-image/D
create sysupdate-image/D/vmlinuz
write sysupdate-image/D/vmlinuz
create sysupdate-image/D/initrd
write sysupdate-image/D/initrd
`
	if got := strings.ReplaceAll(trace.String(), digest, "D"); got != want {
		t.Errorf("steps:\n%s\nwant:\n%s", got, want)
	}
	again, created, err := writeKernel(p, "kernel", "initrd")
	if again != digest || created || err != nil {
		t.Errorf("WriteKernel again = %q, %v, %v; want %q, not created", again, created, err, digest)
	}
}

func TestWriteKernelDamaged(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir, nil)
	digest, _, err := writeKernel(p, "kernel", "initrd")
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(dir string) error{
		"flipped":  func(dir string) error { return os.WriteFile(dir+"/vmlinuz", []byte("Kernel"), 0o644) },
		"short":    func(dir string) error { return os.Truncate(dir+"/initrd", 3) },
		"no file":  func(dir string) error { return os.Remove(dir + "/initrd") },
		"no files": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)) },
		"a file":   func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o644)) },
	} {
		if err := damage(filepath.Join(dir, kernelsDir, digest)); err != nil {
			t.Fatal(err)
		}
		if _, created, err := writeKernel(p, "kernel", "initrd"); !created || err != nil {
			t.Errorf("%s: WriteKernel created %v, %v; want it written again", name, created, err)
		}
		if whole, err := p.verifyKernel(context.Background(), kernel{digest: digest, parts: blsParts}); !whole || err != nil {
			t.Errorf("%s: whole = %v, %v after WriteKernel", name, whole, err)
		}
	}
}

// A damaged kernel is replaced file by file, so that whatever else boots it
// always has all files.
func TestWriteKernelDamagedSteps(t *testing.T) {
	seed := func(t *testing.T) (dir, digest string) {
		dir = t.TempDir()
		digest, _, err := writeKernel(open(t, dir, nil), "kernel", "initrd")
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, map[string]string{
			kernelsDir + "/" + digest + "/initrd": "inITrd",
			entriesDir + "/a.conf":                string(NewEntry("OS", "1", kernelsDir+"/"+digest, "composefs="+string(id("a"))).Encode()),
		})
		return dir, digest
	}
	dir, digest := seed(t)
	p, trace := traced(t, dir)
	if _, _, err := writeKernel(p, "kernel", "initrd"); err != nil {
		t.Fatal(err)
	}
	const want = `create sysupdate-image/D/vmlinuz.tmp
write sysupdate-image/D/vmlinuz.tmp
sync sysupdate-image/D/vmlinuz.tmp
rename sysupdate-image/D/vmlinuz.tmp sysupdate-image/D/vmlinuz
sync sysupdate-image/D/vmlinuz
sync sysupdate-image/D
create sysupdate-image/D/initrd.tmp
write sysupdate-image/D/initrd.tmp
sync sysupdate-image/D/initrd.tmp
rename sysupdate-image/D/initrd.tmp sysupdate-image/D/initrd
sync sysupdate-image/D/initrd
sync sysupdate-image/D
`
	if got := strings.ReplaceAll(trace.String(), digest, "D"); got != want {
		t.Errorf("steps:\n%s\nwant:\n%s", got, want)
	}
	for n := 0; ; n++ {
		dir, digest := seed(t)
		_, _, err := writeKernel(open(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) }), "kernel", "initrd")
		if p := open(t, dir, nil); !hasFile(p, kernelsDir+"/"+digest+"/vmlinuz") || !hasFile(p, kernelsDir+"/"+digest+"/initrd") {
			t.Errorf("after %d steps: a file is missing: %q", n, tree(t, dir))
		}
		if _, _, err := writeKernel(open(t, dir, nil), "kernel", "initrd"); err != nil || len(tree(t, dir)) != 3 {
			t.Errorf("after %d steps and again: %v, files are %q", n, err, tree(t, dir))
		}
		if err == nil {
			return
		}
	}
}

func TestWriteKernelCrash(t *testing.T) {
	for n := 0; ; n++ {
		dir := t.TempDir()
		_, _, err := writeKernel(open(t, dir, func(fsys durable.FS) durable.FS { return durabletest.CrashAfter(fsys, n) }), "kernel", "initrd")
		digest, _, errAgain := writeKernel(open(t, dir, nil), "kernel", "initrd")
		want := []string{kernelsDir + "/" + digest + "/initrd", kernelsDir + "/" + digest + "/vmlinuz"}
		if got := tree(t, dir); errAgain != nil || !slices.Equal(got, want) {
			t.Errorf("after %d steps and again: files are %q, %v; want %q", n, got, errAgain, want)
		}
		if err == nil {
			return
		}
	}
}

// A fullFS has no room for more than a number of writes.
type fullFS struct {
	durable.FS
	left *int
}

type fullFile struct {
	durable.File
	left *int
}

var errFull = syscall.ENOSPC

func (f fullFS) Create(name string, perm fs.FileMode) (durable.File, error) {
	file, err := f.FS.Create(name, perm)
	return fullFile{file, f.left}, err
}

func (f fullFile) Write(b []byte) (int, error) {
	if *f.left--; *f.left < 0 {
		return 0, errFull
	}
	return f.File.Write(b)
}

func TestWriteKernelFull(t *testing.T) {
	for left := range 2 {
		dir := t.TempDir()
		p := open(t, dir, func(fsys durable.FS) durable.FS { return fullFS{fsys, &left} })
		var full *FullError
		if _, _, err := writeKernel(p, "kernel", "initrd"); !errors.Is(err, errFull) || !errors.As(err, &full) || full.Partition != dir {
			t.Errorf("WriteKernel: %v; want the error of the write, and where it was", err)
		}
		if got := tree(t, dir); len(got) != 0 {
			t.Errorf("left behind: %q", got)
		}
		if list, _ := os.ReadDir(filepath.Join(dir, kernelsDir)); len(list) != 1 { // .new
			t.Errorf("left behind: %v", list)
		}
	}
}

func TestWriteKernelErrors(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir, nil)
	if _, _, err := writeKernel(p, "", "initrd"); err == nil || !strings.Contains(err.Error(), "vmlinuz is empty") {
		t.Errorf("WriteKernel of an empty kernel: %v", err)
	}
	changing := &changingReader{ReadSeeker: strings.NewReader("kernel"), after: strings.NewReader("kErnel")}
	_, _, err := p.WriteKernel(context.Background(), changing, strings.NewReader("initrd"))
	if err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("WriteKernel of a kernel that changes: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := p.WriteKernel(ctx, strings.NewReader("a"), strings.NewReader("b")); !errors.Is(err, context.Canceled) {
		t.Errorf("WriteKernel cancelled: %v", err)
	}
	if got := tree(t, dir); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

// A changingReader has another content when it is read the second time.
type changingReader struct {
	io.ReadSeeker
	after io.ReadSeeker
	seeks int
}

func (c *changingReader) Seek(offset int64, whence int) (int64, error) {
	if c.seeks++; c.seeks == 2 {
		c.ReadSeeker = c.after
	}
	return c.ReadSeeker.Seek(offset, whence)
}

func TestRoom(t *testing.T) {
	dir := machineWith(t, "sysupdate-image-000001-a00000000000.conf=a", "sysupdate-image-000002-b00000000000.conf=b", "sysupdate-image-000003-c00000000000.conf=c")
	// a and b have kernels of their own, which take a block of 4 KiB each file.
	for _, letter := range []string{"a", "b"} {
		e := NewEntry("OS", letter, kernelsDir+"/k"+letter, "composefs="+string(id(letter)))
		put(t, dir, map[string]string{
			kernelsDir + "/k" + letter + "/vmlinuz": "k", kernelsDir + "/k" + letter + "/initrd": "i",
			fmt.Sprintf("%s/sysupdate-image-%06d-%s.conf", entriesDir, letter[0]-'a'+1, id(letter).Short()): string(e.Encode()),
		})
	}
	p := open(t, dir, nil)
	p.space = func() (free, block int64, err error) {
		for _, used := range []string{"ka", "kb"} {
			if !there(p, kernelsDir+"/"+used) {
				free += 6 * 4096
			}
		}
		return free, 4096, nil
	}
	_, _, err := writeKernel(p, "new", "initrd")
	var noRoom *NoRoomError
	if !errors.As(err, &noRoom) || noRoom.Need != 8*4096 || noRoom.Free != 0 {
		t.Errorf("WriteKernel = %v; want a NoRoomError of %d bytes", err, 8*4096)
	}
	if got := err.Error(); !strings.Contains(got, "0.1 MiB needed, 0.0 MiB free") || strings.Contains(got, "FSCK") {
		t.Errorf("the error is %q", got)
	}
	put(t, dir, map[string]string{"FSCK0001.REC": strings.Repeat("x", 2<<20), "fsck": "x"})
	if _, _, err := writeKernel(p, "new", "initrd"); err == nil || !strings.Contains(err.Error(), "FSCK*.REC there, which fsck.vfat has made, take 2.0 MiB") {
		t.Errorf("with files that fsck.vfat has left, the error is %q", err)
	}
	before := tree(t, dir)
	if _, _, err := writeKernel(p, "new", "initrd", id("a")); !errors.As(err, &noRoom) || !slices.Equal(tree(t, dir), before) {
		t.Errorf("WriteKernel with a superseded, which is not enough: %v, files are %q; want a NoRoomError and %q", err, tree(t, dir), before)
	}
	if _, created, err := writeKernel(p, "new", "initrd", id("a"), id("b")); !created || err != nil {
		t.Errorf("WriteKernel with a and b superseded: %v, %v; want it created", created, err)
	}
	for name, want := range map[string]bool{"ka": false, "kb": false, "k": true} {
		if got := there(p, kernelsDir+"/"+name); got != want {
			t.Errorf("kernel %s is there: %v; want %v", name, got, want)
		}
	}
	if got := next(t, dir); got != "c" {
		t.Errorf("%s boots next; want c", got)
	}
}

// Where the kernel is there already, its entry and the copy that publishes it still
// need room. The kernel itself is not what makes it, though no other entry names it.
func TestRoomForEntry(t *testing.T) {
	for name, tt := range map[string]struct {
		besides    string // what is on the partition, one block of it in the way
		superseded []deployment.ID
		enough     bool
	}{
		"there is room":                  {"", nil, true},
		"a kernel that nothing names":    {kernelsDir + "/old/vmlinuz", nil, true},
		"what is superseded is in it":    {"sysupdate-image-000001-a00000000000.conf", []deployment.ID{id("a")}, true},
		"there is none":                  {"full", nil, false},
		"none, with one that superseded": {"full", []deployment.ID{id("a")}, false},
	} {
		dir := machineWith(t, "sysupdate-image-000002-b00000000000.conf=b")
		p := open(t, dir, nil)
		digest, _, err := writeKernel(p, "kernel", "initrd")
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(tt.besides, ".conf") {
			tt.besides = entriesDir + "/" + tt.besides
		}
		if tt.besides != "" {
			e := NewEntry("OS", "1", kernelsDir+"/"+digest, "composefs="+string(id("a")))
			put(t, dir, map[string]string{tt.besides: string(e.Encode())})
		}
		p.space = func() (free, block int64, err error) {
			if tt.besides != "" && there(p, tt.besides) {
				return 5 * 4096, 4096, nil
			}
			return 6 * 4096, 4096, nil
		}
		again, created, err := writeKernel(p, "kernel", "initrd", tt.superseded...)
		if noRoom := (*NoRoomError)(nil); errors.As(err, &noRoom) == tt.enough || tt.enough && (err != nil || created || again != digest) {
			t.Errorf("%s: WriteKernel = %q, %v, %v; want %q, or an error: %v", name, again, created, err, digest, !tt.enough)
		}
		if whole, err := p.verifyKernel(context.Background(), kernel{digest: digest, parts: blsParts}); !whole || err != nil {
			t.Errorf("%s: the kernel is whole: %v, %v", name, whole, err)
		}
	}
}

func TestFreeBytes(t *testing.T) {
	if free, err := open(t, t.TempDir(), nil).FreeBytes(); free <= 0 || err != nil {
		t.Errorf("FreeBytes = %d, %v; want some", free, err)
	}
}
