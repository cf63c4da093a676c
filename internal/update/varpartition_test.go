package update

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// A varBench is a bench whose /var is on a partition, which is a directory.
type varBench struct {
	*bench
	partition string
}

func newVarBench(t *testing.T) varBench {
	t.Helper()
	b := varBench{newBench(t), t.TempDir()}
	v := deployment.VarPartition{PartUUID: "01234567-89ab-4cde-8f01-23456789abcd", FileSystem: "ext4", Dir: "default"}
	b.must(os.RemoveAll(filepath.Join(b.dir, deployment.SharedVar)))
	root, err := os.OpenRoot(b.dir)
	b.must(err)
	defer root.Close()
	b.must(records.StoreVarPartition(durable.OS(root), v))
	b.must(os.MkdirAll(filepath.Join(b.partition, "default/var"), 0o755))
	b.must(os.WriteFile(filepath.Join(b.partition, "default/var/data"), nil, 0o644))
	return b
}

// copy returns another machine that is the same.
func (b varBench) copy() varBench {
	other := varBench{&bench{b.t, b.layout, b.bench.copy()}, b.t.TempDir()}
	b.must(os.CopyFS(other.partition, os.DirFS(b.partition)))
	return other
}

func (b varBench) open(wrap func(durable.FS) durable.FS) *Machine {
	m := b.bench.open(b.dir, wrap)
	m.openVar = func(deployment.VarPartition) (varTop, error) {
		top, err := os.OpenRoot(b.partition)
		return varTop{top, "/dev/part", io.NopCloser(nil)}, err
	}
	return m
}

func (b varBench) do(f func(*Machine) error) {
	b.t.Helper()
	m := b.open(nil)
	b.must(errors.Join(f(m), m.Close()))
}

// dirs returns the names on the partition.
func (b varBench) dirs() (names []string) {
	b.t.Helper()
	list, err := os.ReadDir(b.partition)
	b.must(err)
	for _, d := range list {
		names = append(names, d.Name())
	}
	return names
}

// check looks for the /var of each of the states that there are: it has data if the state is not
// the fresh one. Only a state that counts for nothing may have lost it.
func (b varBench) check(when string) {
	b.t.Helper()
	now, other, reset := b.mine(b.dir)
	states := map[string]bool{"": now}
	if reset != machine.NoReset {
		states[deployment.OtherDir] = other
	}
	for dir, mine := range states {
		v, err := records.LoadVarPartition(os.DirFS(filepath.Join(b.dir, dir)))
		b.must(err)
		if _, err := os.Stat(filepath.Join(b.partition, v.Dir, "var")); err != nil {
			b.t.Errorf("%s: the state in /%s has no /var: %v", when, dir, err)
		}
		if _, err := os.Stat(filepath.Join(b.partition, v.Dir, "var/data")); (err == nil) != mine {
			b.t.Errorf("%s: the state in /%s has the change to /etc: %t; its /var: %v", when, dir, mine, err)
		}
	}
}

// TestVarPartitionStopped stops resets, and what confirms them: each state keeps its own /var, and
// prune leaves none that belongs to no state.
func TestVarPartitionStopped(t *testing.T) {
	t.Parallel()
	ns.Run(t, func(t *testing.T) {
		first := newVarBench(t)
		for name, steps := range map[string][]func(*Machine) error{
			"reset": {resetNow}, "undo": {resetNow, undoReset},
			"confirm": {resetNow, confirmReset}, "confirm what was undone": {resetNow, undoReset, confirmReset},
			"reset again": {resetNow, confirmReset, resetNow},
		} {
			last := len(steps) - 1
			for n, done := 0, false; !done; n += 3 {
				b := first.copy()
				for _, f := range steps[:last] {
					b.do(f)
				}
				m := b.open(durabletest.BriefCrash(n))
				done = steps[last](m) == nil
				b.must(m.Close())
				b.check(name)
				b.do(func(m *Machine) error { _, err := m.Prune(context.Background(), false); return err })
				b.check(name + ", and prune")
				if _, _, reset := b.mine(b.dir); reset == machine.NoReset && len(b.dirs()) != 1 {
					t.Errorf("%s: after %d steps and prune, the partition has %q", name, n, b.dirs())
				}
				b.must(errors.Join(os.RemoveAll(b.dir), os.RemoveAll(b.partition)))
			}
		}
	})
}

// TestVarKept does not confirm a reset if the partition is missing, or if the /var to be removed
// is that of the running system or of the state that counts, whatever the records say.
func TestVarKept(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newVarBench(t)
		b.do(resetNow)
		for want, spoil := range map[string]func(*Machine){
			"is missing": func(m *Machine) {
				m.openVar = func(deployment.VarPartition) (varTop, error) { return varTop{}, errors.New("it is missing") }
			},
			"cannot remove default on /dev/part: the running system has its /var there": func(m *Machine) {
				b.must(m.Host.WriteFile("proc/self/mountinfo", []byte("36 35 0:9 /default /sysroot/reset/state/os/default rw - btrfs /dev/part rw\n"), 0o644))
			},
			"both states have the same directory": func(m *Machine) {
				data, err := m.Root.ReadFile(deployment.OtherDir + "/" + deployment.VarPartitionRecord)
				b.must(err)
				data = []byte(strings.Replace(string(data), "ext4", "xfs", 1))
				b.must(m.Root.WriteFile(deployment.VarPartitionRecord, data, 0o644))
			},
		} {
			b := b.copy()
			m := b.open(nil)
			spoil(m)
			err := confirmReset(m)
			record, errRecord := machine.ResetOf(m.Root.FS())
			if err == nil || !strings.Contains(err.Error(), want) || errRecord != nil || record.Reset != machine.ResetFresh {
				t.Errorf("confirming gives %v (%v, %v); want %q, and that the reset still waits", err, record, errRecord, want)
			}
			if !slices.Equal(b.dirs(), []string{"default", "reset"}) {
				t.Errorf("%s: the partition has %q", want, b.dirs())
			}
			b.must(m.Close())
		}
	})
}

// TestResetOfOwnVar refuses a reset if the administrator has mounted another file system over the
// partition.
func TestResetOfOwnVar(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newVarBench(t)
		m := b.open(nil)
		defer m.Close()
		m.Mounts = []mountplan.Mounted{
			{Where: "/sysroot", Type: "ext4", Device: "8:1"}, {Where: "/sysroot/state/os/default", Type: "ext4", Device: "8:2"},
			{Where: "/var", Type: "ext4", Device: "8:3"},
		}
		if err := resetNow(m); !errors.Is(err, ErrOwnVar) {
			t.Errorf("resetting gives %v; want %v", err, ErrOwnVar)
		}
		m.Mounts[2].Device = "8:2"
		b.must(resetNow(m))
	})
}

// TestPruneVarWork removes what soft reboots have left on the partition, but not what the running
// system uses.
func TestPruneVarWork(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newVarBench(t)
		m := b.open(nil)
		defer m.Close()
		b.runAsTwo(m)
		work, old := ".var-work-"+m.Booted.Short(), ".var-work-0123456789ab"
		for _, name := range []string{".var-work", work, old} {
			b.must(os.Mkdir(filepath.Join(b.partition, "default", name), 0o700))
		}
		b.must(m.Host.MkdirAll(filepath.Join("sysroot", filepath.Dir(deployment.VarParent)), 0o755))
		b.must(os.CopyFS(filepath.Join(m.Host.Name(), "sysroot", deployment.VarParent), os.DirFS(filepath.Join(b.partition, "default"))))
		report, err := m.Prune(context.Background(), false)
		if want := []string{deployment.VarParent + "/" + old}; err != nil || !slices.Equal(report.Leftovers, want) {
			t.Errorf("Prune = %q, %v; want %q", report.Leftovers, err, want)
		}
		for name, want := range map[string]bool{".var-work": true, work: true, old: false} {
			if _, err := os.Stat(filepath.Join(b.partition, "default", name)); (err == nil) != want || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v; want that it is there: %t", name, err, want)
			}
		}
	})
}
