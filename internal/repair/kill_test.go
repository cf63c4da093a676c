package repair_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
)

// TestChild is the process that TestKilledRepair kills. It repairs a repository:
// "DIRECTORY DEPLOYMENT REFERENCE MANIFEST-DIGEST".
func TestChild(t *testing.T) {
	args := durabletest.ChildArgs()
	if len(args) == 0 {
		return
	}
	m := machine{t: t, dir: args[0], origin: repair.Origin{Deployment: args[1], Reference: args[2], ManifestDigest: args[3]}}
	if err := m.repair(); err != nil {
		t.Fatal(err)
	}
}

// repair repairs everything.
func (m *machine) repair() error {
	if r := m.fsck(repair.Options{Repair: true}); r.Left() > 0 {
		return fmt.Errorf("these are left: %v", r.Findings)
	}
	return nil
}

// TestKilledRepair kills a repair that has to fetch, to build an image and to
// replace what is there. The same once more repairs it all.
func TestKilledRepair(t *testing.T) {
	m := newMachine(t)
	damaged := m.dir
	rewrite(t, m.content(), half)
	rewrite(t, m.image(), flip)
	remove(t, m.layer())
	durabletest.Killing{
		Times: 40,
		Prepare: func(t *testing.T) string {
			dir := t.TempDir()
			if text, err := exec.Command("cp", "-a", damaged+"/.", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			return dir
		},
		Command: func(dir string) *exec.Cmd {
			return durabletest.Child(dir, m.origin.Deployment, m.origin.Reference, m.origin.ManifestDigest)
		},
		Again: func(dir string) error {
			again := *m
			again.dir = dir
			if err := again.repair(); err != nil {
				return err
			}
			if r := again.fsck(repair.Options{}); len(r.Findings) > 0 {
				return fmt.Errorf("after the repair: %v", r.Findings)
			}
			return nil
		},
		State: files,
	}.Run(t)
}

// TestLeftover is that of a program that was killed while it replaced an object.
func TestLeftover(t *testing.T) {
	m := newMachine(t)
	before := files(t, m.dir)
	if err := os.WriteFile(filepath.Join(m.dir, "composefs/.new-LEFTOVER"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := m.repair(); err != nil {
		t.Fatal(err)
	}
	if got := files(t, m.dir); got != before {
		t.Errorf("after the repair there is\n%swant\n%s", got, before)
	}
}

// files lists all files and links below dir, with their sizes.
func files(t *testing.T, dir string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			fmt.Fprintf(&list, "%s %v %d\n", strings.TrimPrefix(path, dir), info.Mode(), info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}
