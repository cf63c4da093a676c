package finalize

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// begin makes the machine be in the boot with the given number.
func (r *rig) begin(boot string) {
	r.t.Helper()
	dir := filepath.Join(r.root.Name(), "proc/sys/kernel/random")
	r.must(os.MkdirAll(dir, 0o755))
	r.must(os.WriteFile(dir+"/boot_id", []byte(bootID(boot)+"\n"), 0o644))
	r.log.Reset()
}

func bootID(boot string) string { return boot + "1112222-3333-4444-5555-666677778888" }

// boots makes the machine run a deployment.
func (r *rig) boots(id deployment.ID) {
	r.t.Helper()
	table := "22 1 0:21 / / ro - overlay " + id.MountSource() + " ro\n23 22 0:22 / /etc rw - overlay overlay rw\n"
	r.must(os.WriteFile(filepath.Join(r.root.Name(), "proc/self/mountinfo"), []byte(table), 0o644))
}

// arm begins a boot, has the unit start, and checks what the last message of it
// says, and how many boots are counted then.
func (r *rig) arm(boot, want string, boots int) {
	r.t.Helper()
	r.begin(boot)
	for range 2 { // a unit may be started again
		r.must(Arm(r.Machine))
	}
	if !strings.Contains(r.log.String(), want) {
		r.t.Errorf("boot %s: the log is %q; want %q", boot, r.log, want)
	}
	data, err := os.ReadFile(filepath.Join(r.disk, deployment.OverdueRecord))
	if boots == 0 && errors.Is(err, os.ErrNotExist) {
		return
	}
	r.must(err)
	if o, err := deployment.ParseOverdue(data); err != nil || o.Boots != boots {
		r.t.Errorf("boot %s: %+v, %v; want %d boots", boot, o, err, boots)
	}
}

// checkUnfinished wants one event that finalize failed, however often it was told.
func (r *rig) checkUnfinished() {
	r.t.Helper()
	h, err := records.LoadHistory(os.DirFS(r.disk))
	h = slices.DeleteFunc(h, func(e deployment.Event) bool { return e.Kind != deployment.EventUnfinished })
	if err != nil || len(h) != 1 || h[0].ID != r.staged || h[0].Reason == "" || h[0].Time == "" {
		r.t.Errorf("the history has %+v, %v; want one failure of finalize, with time and reason", h, err)
	}
}

func (r *rig) checkRecord(want bool) {
	r.t.Helper()
	for _, name := range []string{
		filepath.Join(r.disk, deployment.StagedRecord), filepath.Join(r.root.Name(), deployment.RunStaged),
	} {
		if _, err := os.Lstat(name); (err == nil) != want {
			r.t.Errorf("there is %s: %v; want %t", name, err == nil, want)
		}
	}
}

// A deployment stays staged over boots that end without a shutdown, and over
// one whose shutdown fails; who asks learns of both.
func TestArm(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		r.record(deployment.Staged{ID: r.staged, Entry: r.entry, BootID: bootID("a")})
		r.arm("a", "is staged: it takes over when this system shuts down", 0)
		r.must(os.Remove(filepath.Join(r.root.Name(), deployment.RunStaged)))
		r.arm("b", "is still staged, and takes over when this system shuts down: the machine went down without a shutdown", 1)
		r.checkRecord(true)

		object := r.breakImage()
		err := Finalize(r.Machine, reboot)
		if err == nil {
			t.Fatal("Finalize with a damaged image did not fail")
		}
		r.arm("c", "shuts down: finalize failed: ", 2)
		r.checkRecord(true)
		r.checkUnfinished()
		object()
		r.must(Finalize(r.Machine, reboot))
		r.checkPublished()
		if _, err := os.Lstat(filepath.Join(r.disk, deployment.OverdueRecord)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the record of why it took so long is left behind (%v)", err)
		}
		r.arm("d", "", 0)
	})
}

// A crash between the commit and the end of finalize leaves the record to the
// next boot.
func TestArmDropsWhatRuns(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		r.boots(r.staged)
		r.arm("b", "was staged, and runs", 0)
		r.checkRecord(false)
	})
}

func TestArmLocked(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		r.record(deployment.Staged{ID: r.staged, Entry: r.entry, BootID: bootID("a"), FinalizationLocked: true})
		r.arm("a", "is staged, and locked: it does not take over", 0)
		r.must(Finalize(r.Machine, reboot))
		r.checkRecord(true)
		// In a later boot it is neither late nor about to take over.
		r.arm("b", "is staged, and locked: it does not take over", 0)
		r.must(Finalize(r.Machine, reboot))
		r.checkRecord(true)
	})
}

// Where what runs goes on running, the deployment boots next and the record
// stays: the next shutdown carries over what has changed in /etc since.
func TestFinalizeTwice(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		r.record(deployment.Staged{ID: r.staged, Entry: r.entry, BootID: bootID("a")})
		r.begin("a")
		r.must(Finalize(r.Machine, kexec))
		r.checkRecord(true)
		want := map[string]string{"hostname": "local\n", "mine": long("mine"), "gone": "whiteout"}
		r.checkTree(r.staged.EtcUpper(), want)

		r.arm("a", "boots next; what changes in /etc until then is carried over at shutdown", 0)
		r.must(os.WriteFile(filepath.Join(r.disk, r.booted.EtcUpper(), "later"), []byte("x"), 0o644))
		r.must(Finalize(r.Machine, reboot))
		r.checkPublished()
		want["later"] = "x"
		r.checkTree(r.staged.EtcUpper(), want)
	})
}

// The next deployment has failed all its boots meanwhile.
func TestFinalizeAfterFallback(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		r.must(Finalize(r.Machine, kexec))
		p, err := boot.OpenDir(r.disk + "/boot")
		r.must(err)
		files, err := p.Entries()
		r.must(err)
		entries := r.disk + "/boot/loader/entries/"
		r.must(os.Rename(entries+files[0].File, entries+files[0].Name.Base+"+0-3.conf"))
		r.arm("b", "it was published, but another one was booted", 1)
		r.must(Finalize(r.Machine, reboot))
		if !strings.Contains(r.log.String(), "it is left to the loader") {
			t.Errorf("the log is %q", r.log)
		}
		r.checkRecord(false)
	})
}

// The image had failed before, and was applied again all the same: its entry of
// that time says nothing of the new one.
func TestFinalizeAgainAfterFailure(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := makeRig(t, deployment.EtcOverlay, "")
		r.must(Finalize(r.Machine, kexec))
		entries := r.disk + "/boot/loader/entries/"
		data, err := os.ReadFile(entries + r.entry)
		r.must(err)
		old := entries + "sysupdate-image-0-old+0-3.conf"
		r.must(os.WriteFile(old, data, 0o644))
		r.must(os.WriteFile(filepath.Join(r.disk, r.booted.EtcUpper(), "later"), []byte("x"), 0o644))
		r.must(Finalize(r.Machine, reboot))
		r.must(os.Remove(old))
		r.checkPublished()
		want := map[string]string{"hostname": "local\n", "mine": long("mine"), "gone": "whiteout", "later": "x"}
		r.checkTree(r.staged.EtcUpper(), want)
	})
}
