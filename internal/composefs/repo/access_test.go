package repo

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestRestrict(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := Init(dir, Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, mode := range []os.FileMode{0o700, 0o755, 0o710, 0o600, 0o777} {
		if mode != 0o700 { // which Init gave it
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
		}
		was, err := r.Restrict()
		info, statErr := os.Stat(dir)
		if err := errors.Join(err, statErr); err != nil || info.Mode().Perm() != 0o700 || was != mode && (was != 0 || mode != 0o700) {
			t.Errorf("Restrict with mode %v = %v, %v; mode is %v", mode, was, err, info.Mode())
		}
	}
}

// TestOtherOwner has a repository, and then a directory in one, of another user.
func TestOtherOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory to another user")
	}
	dir := t.TempDir()
	r, err := Init(dir, Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, name := range []string{".", objectsDir} {
		if err := os.Chown(dir+"/"+name, 1000, 1000); err != nil {
			t.Fatal(err)
		}
		check, err := r.Check(t.Context(), nil)
		if err != nil || len(check.Problems) != 1 || check.Problems[0].String() != name+": wrong owner: uid 1000, want 0" {
			t.Fatalf("Check = %v, %v; want the wrong owner of %s", check.Problems, err, name)
		}
		unlock, err := r.Lock(true)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Repair(check.Problems[0]); !errors.Is(err, ErrOtherOwner) {
			t.Errorf("Repair of %s = %v; want %v", name, err, ErrOtherOwner)
		}
		unlock()
		_, err = r.Restrict()
		if name == "." && (!errors.Is(err, ErrOtherOwner) || !strings.Contains(err.Error(), "uid 1000")) {
			t.Errorf("Restrict = %v; want %v", err, ErrOtherOwner)
		}
		if err := os.Chown(dir+"/"+name, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}
