package merge

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// long is a content that stays on disk when a tree is read.
func long(text string) string { return strings.Repeat(text, 100) }

// move does what programs may do to files between the time when they are read
// and the time when they are written.
func move(t *testing.T, dir string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	next := func(name, content string, mode os.FileMode) error {
		return errors.Join(os.WriteFile(at("temp"), []byte(content), mode), os.Rename(at("temp"), at(name)))
	}
	if err := errors.Join(
		os.Remove(at("added")),
		os.Remove(at("changed")),
		next("secret", long("s"), 0o600),
		os.Remove(at("link")), os.Symlink("target", at("link")),
		os.Remove(at("fifo")), syscall.Mkfifo(at("fifo"), 0o600),
		os.Remove(at("dir")), os.Mkdir(at("dir"), 0o755),
		os.RemoveAll(at("d")), os.WriteFile(at("d"), nil, 0o644),
		next("backup", long("n"), 0o644),
		os.Remove(at("first")),
		os.Chmod(at("chmod"), 0o600),
		os.Truncate(at("short"), 3),
	); err != nil {
		t.Fatal(err)
	}
}

// inMotion is a tree before move.
func inMotion(t *testing.T) *tree.Node {
	return parseTree(t, `
added = "`+long("a")+`"
backup = "`+long("b")+`"
backup~ == backup
changed = "`+long("c")+`"
chmod = "`+long("m")+`"
d/f = "`+long("f")+`"
dir = "`+long("d")+`"
fifo = "`+long("p")+`"
first = "`+long("1")+`"
kept = "`+long("k")+`"
link = "`+long("l")+`"
second == first
secret = "`+long("x")+`"
short = "`+long("s")+`"
`)
}

// moved is what comes of it. A file that was replaced, and whose content is
// still there under another name, keeps that.
func moved(t *testing.T) *tree.Node {
	return parseTree(t, `
backup = "`+long("b")+`"
backup~ == backup
chmod = "`+long("m")+`" mode=0600
d/
fifo fifo mode=0600
first = "`+long("1")+`"
kept = "`+long("k")+`"
link -> target
second == first
secret = "`+long("s")+`" mode=0600
short = "sss"
`)
}

// TestWriteDirInMotion merges a directory whose files change after they were read.
func TestWriteDirInMotion(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		m := newMachine(t, inMotion(t))
		local, none := m.tree("base"), parseTree(t, "")
		open := LocalOpener(m.open("base"), nil)
		move(t, m.path("base"))
		result, err := Rebase(t.Context(), none, local, none, Options{Open: open})
		if err != nil {
			t.Fatalf("Rebase = %v", err)
		}
		if err := WriteDir(t.Context(), m.root, "out", result.Tree, open); err != nil {
			t.Fatalf("WriteDir = %v", err)
		}
		got := m.tree("out")
		inlineContents(t, got, LocalOpener(m.open("out"), nil))
		checkSame(t, "what was written", withoutTimes(got), withoutTimes(moved(t)))
	})
}

// TestWriteUpperInMotion does so over an image that has a file of each name: what
// has disappeared is removed, and does not come back as the image has it.
func TestWriteUpperInMotion(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		m := newMachine(t, inMotion(t))
		m.base.Walk(func(_ string, n *tree.Node) {
			if n.IsRegular() {
				n.Inline, n.Size = []byte("image"), 5
			}
		})
		local := m.tree("base")
		open := LocalOpener(m.open("base"), nil)
		move(t, m.path("base"))
		if err := WriteUpper(t.Context(), m.root, "upper", local, m.base, open); err != nil {
			t.Fatalf("WriteUpper = %v", err)
		}
		got := m.local()
		inlineContents(t, got, LocalOpener(m.open("upper"), nil))
		checkSame(t, "through the overlay", withoutTimes(got), withoutTimes(moved(t)))
	})
}

// A file of users that disappears for a moment does not take all of them with it.
func TestRecordsGone(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		m := newMachine(t, parseTree(t, `passwd = "`+long(`root:x:0:0::/root:/bin/sh\n`)+`"`))
		base, next := parseTree(t, `passwd = "root:x\n"`), parseTree(t, `passwd = "root:x\nnew:x\n"`)
		local, open := m.tree("base"), LocalOpener(m.open("base"), nil)
		if err := m.root.Remove("base/passwd"); err != nil {
			t.Fatal(err)
		}
		result, err := Rebase(t.Context(), base, local, next, Options{Open: open})
		if err != nil || result.Tree.Entry("passwd") != next.Entry("passwd") || len(result.Warnings) != 1 {
			t.Errorf("Rebase = %v, %v; want the image's passwd and a warning", result, err)
		}
	})
}

// TestReadDirInMotion reads a directory in which names come, go, and stand for
// files of other types.
func TestReadDirInMotion(t *testing.T) {
	dir := t.TempDir()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				churn(filepath.Join(dir, string(rune('a'+i%20))), i)
			}
		}
	}()
	defer func() { close(stop); <-done }()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 500 {
		if _, err := ReadDir(t.Context(), f, digest.SHA256, nil); err != nil {
			t.Fatalf("ReadDir = %v", err)
		}
	}
}

// churn replaces what is at path. Errors are as good as any other outcome.
func churn(path string, i int) {
	os.RemoveAll(path)
	switch i / 20 % 5 {
	case 0:
		os.WriteFile(path, []byte(long("x")), 0o644)
	case 1:
		os.Symlink("nowhere", path)
	case 2:
		os.MkdirAll(path+"/a/b", 0o755)
	case 3:
		syscall.Mkfifo(path, 0o644)
	}
}

// TestVanishingDirectories reads a directory in which others come and go all the time:
// what comes after them is still read.
func TestVanishingDirectories(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "z"), []byte("here"), 0o644); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var churn sync.WaitGroup
	for i := range 4 {
		churn.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
					sub := filepath.Join(dir, "a"+strconv.Itoa(n%32))
					os.MkdirAll(filepath.Join(sub, "b"), 0o755)
					os.RemoveAll(sub)
				}
			}
		})
	}
	defer func() { close(stop); churn.Wait() }()
	file, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rounds := 5000
	if testing.Short() {
		rounds = 500
	}
	for range rounds {
		root, err := ReadDir(t.Context(), file, digest.SHA512, nil)
		if err != nil {
			t.Fatal(err)
		}
		if root.Lookup("z") == nil {
			t.Fatal("a file was lost that nobody touched")
		}
	}
}
