package update

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

// TestKeysIn: a user's keys are in a file of their own. A link could lead to what only root may
// read.
func TestKeysIn(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	err = errors.Join(root.MkdirAll("etc", 0o755), root.WriteFile("etc/shadow", []byte("secret"), 0o600))
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		err = errors.Join(err, root.MkdirAll("home/"+name+"/.ssh", 0o755))
	}
	err = errors.Join(err, root.WriteFile("home/alice/.ssh/authorized_keys", []byte("key"), 0o600),
		root.Symlink("../../../etc/shadow", "home/bob/.ssh/authorized_keys"),
		syscall.Mkfifo(dir+"/home/carol/.ssh/authorized_keys", 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for home, want := range map[string]error{"/home/alice": nil, "/home/bob": errKeysLink, "/home/carol": errKeysLink, "/home/dave": fs.ErrNotExist} {
		keys, err := keysIn(root, home)
		if !errors.Is(err, want) || (string(keys) == "key") != (want == nil) {
			t.Errorf("the keys in %s are %q, %v; want %v", home, keys, err, want)
		}
	}
}
