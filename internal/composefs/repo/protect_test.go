package repo

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
)

// A repository as bootc leaves it, whose meta.json has no fs-verity, is protected as
// a whole. Where the file system has none it is as it was.
func TestProtect(t *testing.T) {
	r := newRepository(t, Options{Insecure: true})
	good, bad := put(t, r, "good"), put(t, r, "bad")
	id := putImage(t, r, "image")
	meta := filepath.Join(r.dir.Name(), metadataName)
	before, err := os.ReadFile(meta)
	must(t, errors.Join(err, os.WriteFile(filepath.Join(r.dir.Name(), objectsDir, bad.ObjectPath()), []byte("BAD"), 0o644)))
	if err := r.Protect(t.Context()); err == nil {
		t.Error("Protect without a lock: no error")
	}
	unlock, err := r.Lock(true)
	must(t, err)
	defer unlock()
	protectErr := r.Protect(t.Context())
	after, err := os.ReadFile(meta)
	if err != nil || string(after) != string(before) {
		t.Errorf("meta.json is %q, %v; want %q", after, err, before)
	}
	if names, err := filepath.Glob(r.dir.Name() + "/" + tempPrefix + "*"); err != nil || len(names) > 0 {
		t.Errorf("left over: %q, %v", names, err)
	}
	again := reopen(t, r)
	if errors.Is(protectErr, verity.ErrNotSupported) {
		if !r.Insecure() || !again.Insecure() || !r.HasObject(good) {
			t.Error("what could not be protected is not as it was")
		}
		t.Skip("this file system has no fs-verity")
	}
	must(t, protectErr)
	if again.Insecure() || r.Insecure() {
		t.Error("the repository is insecure still")
	}
	if !again.HasObject(good) || !hasImage(again, id) {
		t.Error("what was good is not protected")
	}
	if again.HasObject(bad) {
		t.Error("what was damaged is protected")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
