package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// nobody is a user who owns nothing.
const nobody = 65534

// asUser runs the program as an ordinary user:
//
//	asuser ARG...
func asUser(ts *testscript.TestScript, neg bool, args []string) {
	if os.Geteuid() != 0 {
		err := ts.Exec("sysupdate-image", args...)
		ts.Check(expect(neg, err))
		return
	}
	program, err := exec.LookPath("sysupdate-image")
	ts.Check(err)
	// Temporary directories are for their owner alone.
	for _, dir := range []string{filepath.Dir(filepath.Dir(program)), filepath.Dir(ts.Getenv("WORK"))} {
		ts.Check(os.Chmod(dir, 0o755))
	}
	id := fmt.Sprint(nobody)
	err = ts.Exec("setpriv", append([]string{"--reuid", id, "--regid", id, "--clear-groups", program}, args...)...)
	ts.Check(expect(neg, err))
}

// expect returns an error where a command failed that should not have, or did
// not that should have.
func expect(neg bool, err error) error {
	switch {
	case neg && err == nil:
		return fmt.Errorf("unexpected success")
	case neg:
		return nil
	}
	return err
}

// busy locks the repository below a physical root until the script ends:
//
//	busy SYSROOT
func busy(ts *testscript.TestScript, neg bool, args []string) {
	repo, err := repo.Open(ts.MkAbs(filepath.Join(args[0], "composefs")))
	ts.Check(err)
	unlock, err := repo.Lock(true)
	ts.Check(err)
	ts.Defer(func() {
		_ = unlock()
		_ = repo.Close()
	})
}

// listing writes what is below a directory to a file, a line each, without what
// no two runs have in common:
//
//	listing DIR FILE
func listing(ts *testscript.TestScript, neg bool, args []string) {
	var out strings.Builder
	dir := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		size := info.Size()
		name, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			size = 0 // directories keep their size when they shrink
			if filepath.Dir(name) == "composefs/objects" {
				return nil // they stay when the last object in them has gone
			}
		}
		fmt.Fprintf(&out, "%s %v %d\n", name, info.Mode(), size)
		return err
	}))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(out.String()), 0o644))
}

// serve starts a registry with an image of an OCI layout, and puts the address
// of its repository into the environment:
//
//	registry LAYOUT:TAG VARIABLE
func serve(ts *testscript.TestScript, neg bool, args []string) {
	server := ocitest.NewRegistry()
	ts.Defer(server.Close)
	dir, tag, _ := strings.Cut(args[0], ":")
	ts.Check(server.Push(ts.MkAbs(dir), tag))
	ts.Setenv(args[1], server.Name())
}

// stalled starts a registry that never answers, and puts the address of a
// repository into the environment; "asked" waits until it has been asked.
//
//	stalled VARIABLE
//	asked
func stalled(ts *testscript.TestScript, neg bool, args []string) {
	first, once := make(chan bool), sync.Once{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(first) })
		<-r.Context().Done()
	}))
	ts.Defer(func() {
		server.CloseClientConnections()
		server.Close()
	})
	ts.Setenv(args[0], strings.TrimPrefix(server.URL, "http://")+"/os")
	ts.Value(askedKey{}).(*askedState).first = first
}

// askedState is what stalled leaves to asked.
type askedState struct{ first chan bool }

type askedKey struct{}

func asked(ts *testscript.TestScript, _ bool, _ []string) {
	select {
	case <-ts.Value(askedKey{}).(*askedState).first:
	case <-time.After(time.Minute):
		ts.Fatalf("the registry was not asked")
	}
}

// tmpfs mounts a small file system on a directory, which it makes:
//
//	tmpfs SIZE DIR
func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,size="+args[0]))
	ts.Defer(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// readOnly shows DIR once more at WHERE, where nothing can be written: readonly DIR WHERE.
func readOnly(ts *testscript.TestScript, neg bool, args []string) {
	from, to := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(to, 0o755))
	ts.Check(syscall.Mount(from, to, "", syscall.MS_BIND, ""))
	ts.Defer(func() { _ = syscall.Unmount(to, syscall.MNT_DETACH) })
	ts.Check(syscall.Mount("", to, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""))
}
