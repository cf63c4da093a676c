package boot

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// fill takes all the room of a file system.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 512))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// TestReserve goes back and forth, and publishes what is staged, where somebody
// else has taken the last block.
func TestReserve(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		dir := ns.Dir(t)
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0755"); err != nil {
			t.Fatal(err)
		}
		put(t, dir, map[string]string{kernelsDir + "/k/vmlinuz": "k", kernelsDir + "/k/initrd": "i"})
		p := open(t, dir, nil)
		publish := func(what string) {
			t.Helper()
			name, err := p.StageEntry(entryFor(what))
			if err == nil {
				err = p.Publish(name)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		publish("a")
		publish("b")
		staged, err := p.StageEntry(entryFor("c"))
		if err != nil {
			t.Fatal(err)
		}
		filler := filepath.Join(dir, "filler")
		fill(t, filler)
		for _, what := range []string{"a", "b", "a"} {
			if _, err := p.Rollback(id(what)); err != nil || next(t, dir) != what {
				t.Fatalf("Rollback on a full partition = %v, %s boots next; want %s", err, next(t, dir), what)
			}
			fill(t, filler)
		}
		if err := p.Publish(staged); err != nil {
			t.Errorf("Publish on a full partition = %v", err)
		}
		fill(t, filler)
		if err := p.fs.Remove(reserveFile); err != nil {
			t.Fatal(err)
		}
		fill(t, filler)
		_, err = p.Rollback(id("b"))
		if err == nil || !strings.Contains(err.Error(), "no room on") || !strings.Contains(err.Error(), "; filler, of another program, takes 0.") {
			t.Errorf("Rollback without a reserve = %v; want an error that names the file", err)
		}
	})
}
