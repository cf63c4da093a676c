package update

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// downloaded returns a machine that runs the image 2, and has 3 staged, and locked.
func downloaded(b *bench, dir string) *Machine {
	b.t.Helper()
	m := b.open(dir, nil)
	b.runAsTwo(m)
	o := b.options("3")
	o.DownloadOnly = true
	r, err := m.Apply(b.t.Context(), o, silent{}) // without a systemd, whose help it does not want
	b.must(err)
	if r.Outcome != Staged || !r.Locked || r.Unlocked {
		b.t.Fatalf("Apply = %+v; want it staged and locked", r)
	}
	return m
}

// wantLocked wants the record of what is staged, in both places, to be locked or not.
func wantLocked(t *testing.T, m *Machine, want bool) {
	t.Helper()
	record, err := m.staged()
	if err != nil || record == nil || record.FinalizationLocked != want {
		t.Errorf("the record is %+v, %v; want locked %v", record, err, want)
	}
	run, err := records.LoadRunStaged(m.Host.FS())
	if err != nil || run.FinalizationLocked != want {
		t.Errorf("the record for bootc is %+v, %v; want locked %v", run, err, want)
	}
	s, err := m.readState()
	if err != nil || (s.Next() == s.Booted) != want {
		t.Errorf("%s boots next, %v; want the staged deployment to: %v", s.Next().Short(), err, !want)
	}
}

func TestDownloadOnly(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		m := downloaded(b, b.copy())
		defer m.Close()
		wantLocked(t, m, true)
		id := func() deployment.ID { r, _ := m.staged(); return r.ID }()

		// Once more, nothing has to be done.
		o := b.options("3")
		o.DownloadOnly = true
		if r, err := m.Apply(t.Context(), o, silent{}); err != nil || r.Outcome != AlreadyNext || !r.Locked || r.Unlocked {
			t.Errorf("Apply again = %+v, %v; want it to stay locked", r, err)
		}
		wantLocked(t, m, true)

		// A plan and a check say that an apply without the option unlocks it.
		plan, err := m.Plan(t.Context(), b.options("3"), silent{})
		if err != nil || !slices.Contains(plan.Steps, StepUnlock) {
			t.Errorf("Plan = %v, %v; want it to unlock what is staged", plan.Steps, err)
		}
		if u, err := m.Check(t.Context(), b.options("3"), silent{}); err != nil || u.Available || !u.Locked {
			t.Errorf("Check = %+v, %v; want it staged and locked", u, err)
		}
		if _, err := m.Apply(t.Context(), b.options("3"), silent{}); !notArmed(err) {
			t.Errorf("Apply without DownloadOnly: %v; want systemd to be asked", err)
		}
		wantLocked(t, m, false)
		plan, err = m.Plan(t.Context(), b.options("3"), silent{})
		if err != nil || slices.Contains(plan.Steps, StepUnlock) {
			t.Errorf("Plan = %v, %v; want nothing to be unlocked", plan.Steps, err)
		}

		// What is staged can be locked afterwards, and a soft reboot does not boot it either.
		b.must(m.requestSoftReboot(deployment.Target{ID: id}, rootconfig.Config{}))
		if r, err := m.Apply(t.Context(), o, silent{}); err != nil || !r.Locked {
			t.Errorf("Apply with DownloadOnly = %+v, %v; want it locked", r, err)
		}
		wantLocked(t, m, true)
		if _, err := records.LoadSoftReboot(m.Host.FS()); err == nil {
			t.Error("a soft reboot is still asked for")
		}

		// Another image takes its place.
		if _, err := m.Apply(t.Context(), b.options("1"), silent{}); err != nil && !notArmed(err) {
			t.Error(err)
		}
		if r, err := m.staged(); err != nil || r == nil || r.ID == id || r.FinalizationLocked {
			t.Errorf("then %+v is staged, %v; want the image 1, not locked", r, err)
		}
	})
}

func TestApplyDownloaded(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		dir := b.copy()
		b.must(downloaded(b, dir).Close())
		b.must(os.RemoveAll(filepath.Join(b.layout, "blobs"))) // nothing is fetched
		m, err := OpenToSwitch(PlaceOf(t, dir), func(err error) { t.Log(err) })
		b.must(err)
		defer m.Close()
		b.runAsTwo(m)
		// That it was staged in an earlier boot, and why it is overdue, does not count any more.
		record, err := m.staged()
		b.must(err)
		record.BootID = "11111111111111111111111111111111"
		b.must(m.writeRecord(*record))
		b.must(records.StoreOverdue(m.Changes, deployment.Overdue{ID: record.ID, Boots: 3}))

		r, err := m.ApplyDownloaded(t.Context(), Options{})
		if !notArmed(err) {
			t.Errorf("ApplyDownloaded = %+v, %v; want systemd to be asked", r, err)
		}
		wantLocked(t, m, false)
		if now, err := m.staged(); err != nil || now.BootID != bootID() {
			t.Errorf("the record is of boot %+v, %v; want this one", now, err)
		}
		if _, err := records.LoadOverdue(m.Root.FS(), record.ID); err == nil {
			t.Error("it is still overdue")
		}
		r, err = m.ApplyDownloaded(t.Context(), Options{})
		if err != nil || r.Unlocked || r.ID != record.ID || r.Name != "OS" || r.Version != "3" || !strings.HasSuffix(r.Reference, ":3") {
			t.Errorf("ApplyDownloaded again = %+v, %v; want what it is about, and that it was unlocked before", r, err)
		}
	})
}

func TestApplyDownloadedRefuses(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		m := b.open(b.copy(), nil)
		defer m.Close()
		b.runAsTwo(m)
		if _, err := m.ApplyDownloaded(t.Context(), Options{}); !errors.Is(err, ErrNothingStaged) {
			t.Errorf("without anything staged: %v; want ErrNothingStaged", err)
		}
		// bootc has nothing on disk but its own files.
		b.must(m.writeRecord(deployment.Staged{ID: deployment.ID(b.idIn(m, "1")), FinalizationLocked: true}))
		b.must(m.Root.Remove(deployment.StagedRecord))
		m.RunAs(m.Booted, m.Host.FS())
		if _, err := m.ApplyDownloaded(t.Context(), Options{}); !errors.Is(err, ErrBootcStaged) {
			t.Errorf("with what bootc has staged: %v; want ErrBootcStaged", err)
		}
	})
}

// What is published already can still change /etc at shutdown, but is the next to boot.
func TestLockPublished(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		dir := b.copy()
		b.stage(dir, "3")
		m := b.open(dir, nil)
		defer m.Close()
		b.runAsTwo(m)
		record, err := m.staged()
		b.must(err)
		staged := filepath.Join(dir, "boot/loader/entries", record.Entry+".staged")
		b.must(os.Rename(staged, strings.TrimSuffix(staged, ".staged")))
		record.Published = true
		b.must(m.writeRecord(*record))
		o := b.options("3")
		o.DownloadOnly = true
		if _, err := m.Apply(t.Context(), o, silent{}); err == nil || !strings.Contains(err.Error(), "its boot entry is already published") {
			t.Errorf("Apply with DownloadOnly: %v; want that it is published", err)
		}
	})
}

func TestFollow(t *testing.T) {
	b := newBench(t)
	m := b.open(b.copy(), nil)
	defer m.Close()
	id, ref, err := m.Follow("registry.example.org/other")
	if err != nil || string(id) != b.idIn(m, "2") || ref != "docker://registry.example.org/other:latest" {
		t.Errorf("Follow = %s, %q, %v; want the deployment 2, which follows it", id.Short(), ref, err)
	}
	if now, err := m.tracked(); err != nil || now != ref {
		t.Errorf("the machine follows %q, %v; want %q", now, err, ref)
	}
	if _, _, err := m.Follow("other"); err == nil {
		t.Error("a name without a registry is followed")
	}
}
