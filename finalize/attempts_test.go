package finalize

import (
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
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// goodEntry gives the booted deployment a boot entry, before the staged one.
func (r *rig) goodEntry() {
	r.t.Helper()
	text := "title OS\nsort-key sysupdate-image\nversion 000000\nlinux /k/vmlinuz\noptions composefs=" + string(r.booted) + "\n"
	for name, content := range map[string]string{
		"k/vmlinuz": "kernel", "loader/entries/sysupdate-image-000000-" + r.booted.Short() + ".conf": text,
	} {
		name = filepath.Join(r.disk, "boot", name)
		r.must(os.MkdirAll(filepath.Dir(name), 0o755))
		r.must(os.WriteFile(name, []byte(content), 0o644))
	}
}

// At whatever step finalize stops, the boots of what is published are counted, with the
// booted deployment to fall back to; and those of the booted one never.
func TestFinalizeCounts(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		for n := 0; ; n++ {
			r := makeRig(t, deployment.EtcOverlay, "")
			r.goodEntry()
			r.wrap = durabletest.Crash(n)
			err := Finalize(r.Machine, reboot)
			p, bootErr := boot.OpenDir(r.disk + "/boot")
			r.must(bootErr)
			files, bootErr := p.Entries()
			r.must(bootErr)
			r.must(p.Close())
			listed := slices.ContainsFunc(files, func(f boot.EntryFile) bool { return f.Bootable() && f.Target.ID == r.staged })
			a, recordErr := records.LoadAttempts(os.DirFS(r.disk), r.staged)
			counted := recordErr == nil && a.Trial && a.Left == boot.TriesOfNew && a.Fallback == r.booted && strings.Contains(a.FallbackEntry, r.booted.Short())
			if listed && !counted {
				t.Errorf("after %d steps the deployment is published, and its record is %+v, %v", n, a, recordErr)
			}
			if a, err := records.LoadAttempts(os.DirFS(r.disk), r.booted); err == nil {
				t.Errorf("after %d steps the booted deployment has the record %+v", n, a)
			}
			if err == nil {
				if !listed {
					t.Error("it is not published")
				}
				return
			}
		}
	})
}

// What was published before a soft reboot, and spent since, is left alone.
func TestFinalizeLeavesSpent(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		r.goodEntry()
		r.must(Finalize(r.Machine, kexec))
		a, err := records.LoadAttempts(os.DirFS(r.disk), r.staged)
		r.must(err)
		a.Left, a.Done = 0, 3
		r.must(records.StoreAttempts(r.changes(r.openDisk()), a))
		r.must(Finalize(r.Machine, reboot))
		if got, err := records.LoadAttempts(os.DirFS(r.disk), r.staged); err != nil || got != a {
			t.Errorf("the record is %+v, %v; want %+v", got, err, a)
		}
		if !strings.Contains(r.log.String(), "was the next to boot, but did not") {
			t.Errorf("the log says %q", r.log)
		}
	})
}

func (r *rig) openDisk() *os.Root {
	r.t.Helper()
	root, err := os.OpenRoot(r.disk)
	r.must(err)
	r.t.Cleanup(func() { root.Close() })
	return root
}

// A complete boot by kexec proves nothing but that the deployment starts: it keeps its
// tries, all of them, unless the configuration says otherwise.
func TestBlessAfterKexec(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		r.goodEntry()
		r.must(Finalize(r.Machine, kexec))
		// The staged deployment runs then.
		root := r.Machine.root
		r.must(root.WriteFile("proc/self/mountinfo", []byte("22 1 0:21 / / ro - overlay "+r.staged.MountSource()+" ro\n"), 0o644))
		r.must(root.MkdirAll("proc/sys/kernel", 0o755))
		r.must(root.WriteFile("proc/sys/kernel/bootloader_type", []byte("208\n"), 0o644))
		for _, proves := range []bool{false, true} {
			a, err := records.LoadAttempts(os.DirFS(r.disk), r.staged)
			r.must(err)
			a.Left, a.Done = 2, 1 // the initramfs has counted
			r.must(records.StoreAttempts(r.changes(r.openDisk()), a))
			r.must(Bless(r.Machine, proves))
			a, err = records.LoadAttempts(os.DirFS(r.disk), r.staged)
			if want := (deployment.AttemptsCount{Trial: true, Left: 3}); err != nil || !proves && a.AttemptsCount != want || proves && a.Trial {
				t.Errorf("blessed (%v), the record is %+v, %v", proves, a, err)
			}
		}
		h, err := records.LoadHistory(os.DirFS(r.disk))
		if err != nil || len(h) != 1 || h[0].Kind != deployment.EventBlessed || h[0].ID != r.staged {
			t.Errorf("the history is %+v, %v; want that the deployment has proved itself, once", h, err)
		}
		if !strings.Contains(r.log.String(), "stays on trial until the boot loader has booted it") {
			t.Errorf("the log says %q", r.log)
		}
	})
}

// fullFS is a directory in which there is no room for another file.
type fullFS struct{ durable.FS }

func (fullFS) Create(string, fs.FileMode) (durable.File, error) { return nil, syscall.ENOSPC }

// A deployment that fills the disk, or finds it full, proves itself all the same.
func TestBlessOnFullDisk(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		r.goodEntry()
		r.must(Finalize(r.Machine, reboot))
		r.must(r.Machine.root.WriteFile("proc/self/mountinfo", []byte("22 1 0:21 / / ro - overlay "+r.staged.MountSource()+" ro\n"), 0o644))
		r.wrap = func(fsys durable.FS) durable.FS { return fullFS{fsys} }
		err := r.blessAttempts()
		a, readErr := records.LoadAttempts(os.DirFS(r.disk), r.staged)
		if err != nil || readErr != nil || a.AttemptsCount != (deployment.AttemptsCount{}) || a.Fallback != r.booted {
			t.Errorf("blessed: %v; the record is %+v, %v", err, a, readErr)
		}
	})
}
