package health

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/attempts"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/sysroot"
)

// That a system was booted in place of a spent one is in the history once, whether or not the
// last boot of that has recorded why it failed.
func TestFellBackIsRemembered(t *testing.T) {
	bad, good := deployment.ID(strings.Repeat("b", 128)), deployment.ID(strings.Repeat("a", 128))
	spent := deployment.Attempts{ID: bad, Fallback: good, AttemptsCount: deployment.AttemptsCount{Trial: true, Done: 3}}
	recorded := deployment.BootFailure{
		ID: bad, Entry: attempts.Name(bootentry.Name{Base: string(bad)}, spent).String(), Time: "2026-01-02T03:04:05Z",
		Failed: []deployment.FailedUnit{{Name: "a.service", Result: "exit-code"}},
	}
	for name, failure := range map[string]*deployment.BootFailure{"recorded": &recorded, "unrecorded": nil} {
		t.Run(name, func(t *testing.T) {
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			mounts := "22 1 0:21 / / ro - overlay composefs:" + string(good) + " ro\n"
			if err := errors.Join(root.MkdirAll("proc/self", 0o755), root.MkdirAll("sysroot/"+bad.Dir(), 0o755),
				os.WriteFile(filepath.Join(root.Name(), "proc/self/mountinfo"), []byte(mounts), 0o644)); err != nil {
				t.Fatal(err)
			}
			physical, err := root.OpenRoot("sysroot")
			if err != nil {
				t.Fatal(err)
			}
			defer physical.Close()
			err = records.StoreAttempts(durable.OS(physical), spent)
			if failure != nil {
				err = errors.Join(err, records.StoreBootFailure(durable.OS(physical), *failure))
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the record of the spent one stays for the next boot
				if err := FellBack(Machine{root, journal.Log{Else: io.Discard}}); err != nil {
					t.Fatal(err)
				}
			}
			h, err := records.LoadHistory(physical.FS())
			if err != nil || len(h) != 1 || h[0].Kind != deployment.EventFellBack || h[0].ID != good || h[0].From != bad || h[0].Reason == "" {
				t.Errorf("the history: %+v, %v", h, err)
			}
		})
	}
}

// What boots is not changed while a command changes it, nor the other way round.
func TestLock(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	command, err := sysroot.TryLock(root)
	if err != nil || command == nil {
		t.Fatal(command, err)
	}
	if locked, err := lock(root, 0); err == nil {
		t.Errorf("lock = %v while a command has it", locked)
	}
	command.Close()
	locked, err := lock(root, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Close()
	if command, err = sysroot.TryLock(root); command != nil || err != nil {
		t.Errorf("a command locks it as well: %v, %v", command, err)
	}
}
