package repo

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// killedVariable names the repository in which the test program, run again, is to
// be killed while it protects an object.
const killedVariable = "STORE_TEST_KILLED_IN"

// TestKilledWhileProtecting kills a program while the kernel enables fs-verity for
// it, and then looks at the objects that got the inode after that, when the file
// system was mounted again. ext4 forgets that it has noted a file without a name
// as one to remove, if fs-verity was not enabled in the end; the next mount then
// cuts what has the inode by that time to its size, and with that its Merkle tree.
func TestKilledWhileProtecting(t *testing.T) {
	if dir := os.Getenv(killedVariable); dir != "" {
		protectUntilKilled(dir)
	}
	fs := newExt4(t)
	r := fs.repository()
	for range 3 {
		fs.kill()
	}
	objects := make(map[digest.Digest]string)
	for i := range 100 {
		data := fmt.Sprintf("object %d", i)
		objects[put(t, r, data)] = data
	}
	if err := errors.Join(r.Sync(), r.Close()); err != nil {
		t.Fatal(err)
	}
	fs.unmount()
	fs.mount()
	r = fs.repository()
	for d, data := range objects {
		if got := get(t, r, d); got != data {
			t.Errorf("object %s has %q; want %q", d, got, data)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// protectUntilKilled writes an object that takes long to protect.
func protectUntilKilled(dir string) {
	r, err := Open(dir)
	if err != nil {
		panic(err)
	}
	w, err := r.NewObject()
	if err != nil {
		panic(err)
	}
	for range 256 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			panic(err)
		}
	}
	fmt.Println("protecting")
	_, err = w.Commit()
	panic(fmt.Sprintf("it was not killed: %v", err))
}

// An ext4 is a file system with fs-verity, of the kind that mkfs.ext4 makes now.
type ext4 struct {
	t          *testing.T
	image, dir string
}

// newExt4 mounts an ext4 until the test ends, or skips it.
func newExt4(t *testing.T) *ext4 {
	t.Helper()
	newRepository(t, Options{RequireVerity: true}) // or there is no use in it
	fs := &ext4{t, filepath.Join(t.TempDir(), "image"), t.TempDir()}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil || os.Geteuid() != 0 {
		t.Skip("it takes root and mkfs.ext4")
	}
	if err := os.WriteFile(fs.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(fs.image, 1<<30); err != nil {
		t.Fatal(err)
	}
	fs.run("mkfs.ext4", "-q", "-O", "verity,orphan_file", fs.image)
	fs.mount()
	t.Cleanup(func() { exec.Command("umount", fs.dir).Run() }) // if the test did not get there
	return fs
}

func (fs *ext4) run(name string, args ...string) {
	fs.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		fs.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

func (fs *ext4) mount()   { fs.t.Helper(); fs.run("mount", "-o", "loop", fs.image, fs.dir) }
func (fs *ext4) unmount() { fs.t.Helper(); fs.run("umount", fs.dir) }

// repository opens the repository of the file system, and makes it first.
func (fs *ext4) repository() *Repository {
	fs.t.Helper()
	r, err := Init(filepath.Join(fs.dir, "composefs"), Options{RequireVerity: true})
	if err != nil {
		fs.t.Fatal(err)
	}
	return r
}

// kill runs protectUntilKilled and kills it while the kernel is at work for it.
func (fs *ext4) kill() {
	fs.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledWhileProtecting$")
	cmd.Env = append(os.Environ(), killedVariable+"="+filepath.Join(fs.dir, "composefs"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		fs.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		fs.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "protecting\n" {
		fs.t.Errorf("the program to be killed says %q, %v", line, err)
	}
	time.Sleep(100 * time.Millisecond)
	cmd.Process.Kill()
	if err := cmd.Wait(); !strings.Contains(fmt.Sprint(err), "killed") {
		fs.t.Errorf("the program to be killed ended with %v", err)
	}
}
