package update

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// leadTo has a deployment come from the image with a tag from now on, as if its
// reference had led to another one then.
func (b *bench) leadTo(m *Machine, id deployment.ID, tag string) {
	b.t.Helper()
	o, err := m.readOrigin(id)
	b.must(err)
	o.Reference = b.options(tag).Reference
	b.must(m.follow(id, o))
}

// again puts an image into the layout of which the deployment is that of another, and
// the manifest is not.
func (b *bench) again(tag, version string) {
	b.t.Helper()
	empty, err := ocitest.Tar(nil, nil)
	b.must(err)
	img := ocitest.Image{Layers: [][]byte{smallLayer(b.t, version), empty}}
	b.must(ocitest.WriteLayout(b.layout, tag, img))
}

// attempt is apply of what o says, with the result also where systemd could not be
// asked to start finalize.
func (b *bench) attempt(m *Machine, o Options) Result {
	b.t.Helper()
	ctx := context.Background()
	img, _, err := m.resolve(ctx, o, silent{})
	b.must(err)
	defer img.Close()
	var result Result
	if done, err := m.decideFor(ctx, img, "", o, &result); done || err != nil {
		if !notArmed(err) {
			b.must(err)
		}
		return result
	}
	b.must(img.ReadConfig(ctx))
	b.must(pull(ctx, img, missing(img, m.Repository), m.Repository, silent{}))
	c, err := m.build(ctx, img, o, strictness{optional: true}, silent{}, startClock())
	b.must(err)
	if done, err := m.decideFor(ctx, img, c.id, o, &result); done || err != nil {
		b.must(err)
		return result
	}
	if err := m.deploy(ctx, c, &result, silent{}); err != nil && !notArmed(err) {
		b.t.Fatal(err)
	}
	return result
}

// With 2 running and a rollback to 1 queued or 3 staged, what runs becomes the next
// if it is named, and a rollback stays what it is if it is not.
func TestQueuedRollback(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that stage could ask
		b := newBench(t)
		b.again("2-again", "2")
		one, two := deployment.ID(b.idOf("1")), deployment.ID(b.idOf("2"))
		nobody := func(tag string) func(m *Machine) Options {
			return func(m *Machine) Options {
				if record, err := m.staged(); err == nil && record != nil {
					b.leadTo(m, record.ID, tag)
				}
				b.leadTo(m, two, tag)
				return Options{}
			}
		}
		named := func(tag string) func(*Machine) Options { return func(*Machine) Options { return b.options(tag) } }
		for _, tt := range []struct {
			name            string
			rollback, stage bool
			options         func(*Machine) Options
			want            Decision
			next            string
		}{
			{"nobody asks", true, false, nobody("2"), Decision{Outcome: RollbackQueued, QueuedRollback: one}, "1"},
			{"nobody asks, another manifest", true, false, nobody("2-again"), Decision{Outcome: RollbackQueued, QueuedRollback: one}, "1"},
			{"nobody asks, what is next", true, false, nobody("1"), Decision{Outcome: AlreadyNext}, "1"},
			{"nobody asks, a newer one", true, false, nobody("3"), Decision{Outcome: Staged, QueuedRollback: one}, "1"},
			{"nobody asks, after a newer one", true, true, nobody("2"), Decision{Outcome: RollbackQueued, QueuedRollback: one, DroppedStaged: "3"}, "1"},
			{"nobody asks, no rollback", false, false, nobody("2"), Decision{Outcome: AlreadyBooted}, "2"},
			{"nobody asks, no rollback, another manifest", false, false, nobody("2-again"), Decision{Outcome: AlreadyBooted}, "2"},
			{"nobody asks, no rollback, after a newer one", false, true, nobody("2"), Decision{Outcome: AlreadyBooted, DroppedStaged: "3"}, "2"},
			{"it is named", true, false, named("2"), Decision{Outcome: AlreadyBooted, DroppedRollback: one}, "2"},
			{"it is named, after a newer one", false, true, named("2"), Decision{Outcome: AlreadyBooted, DroppedStaged: "3"}, "2"},
			{"it is named, after both", true, true, named("2"), Decision{Outcome: AlreadyBooted, DroppedStaged: "3", DroppedRollback: one}, "2"},
			{"it is named, and next", false, false, named("2"), Decision{Outcome: AlreadyBooted}, "2"},
			{"a newer one is named", true, false, named("3"), Decision{Outcome: Staged, QueuedRollback: one}, "1"},
		} {
			dir := b.copy()
			m := b.open(dir, nil)
			b.runAsTwo(m)
			if tt.rollback {
				_, err := m.Rollback(t.Context(), "")
				b.must(err)
			}
			b.must(m.Close())
			if tt.stage {
				b.stage(dir, "3")
			}
			m = b.open(dir, nil)
			m.RunAs(two, os.DirFS("/nowhere"))
			m.etc = deployment.EtcOverlay
			if record, _ := m.staged(); record != nil && tt.want.DroppedStaged != "" {
				tt.want.DroppedStaged = record.ID
			}
			o := tt.options(m)
			plan, err := m.Plan(t.Context(), o, silent{})
			b.must(err)
			if got := plan.Decision; !strings.Contains(tt.name, "manifest") && (got.Outcome != tt.want.Outcome || got.QueuedRollback != tt.want.QueuedRollback ||
				got.DroppedStaged != tt.want.DroppedStaged || got.DroppedRollback != tt.want.DroppedRollback) {
				t.Errorf("%s: the plan is %+v; want %+v", tt.name, got, tt.want)
			}
			got := b.attempt(m, o)
			got.ID, got.Name, got.Version = "", "", ""
			if got.Outcome != tt.want.Outcome || got.QueuedRollback != tt.want.QueuedRollback ||
				got.DroppedStaged != tt.want.DroppedStaged || got.DroppedRollback != tt.want.DroppedRollback {
				t.Errorf("%s: %+v; want %+v", tt.name, got, tt.want)
			}
			if record, err := m.staged(); err != nil || (record != nil) != (tt.want.Outcome == Staged) {
				t.Errorf("%s: staged is %v, %v", tt.name, record, err)
			}
			b.must(m.Close())
			if next, _, _ := strings.Cut(b.titles(dir), ","); next != "OS ("+tt.next+")" {
				t.Errorf("%s: %s boots next; want %s", tt.name, next, tt.next)
			}
			b.must(os.RemoveAll(dir))
		}
	})
}

// That the loader falls back from what has used up its boots is no rollback.
func TestNoRollback(t *testing.T) {
	b := newBench(t)
	dir := b.copy()
	m := b.open(dir, nil)
	m.RunAs(deployment.ID(b.idIn(m, "2")), os.DirFS("/nowhere"))
	entries, err := filepath.Glob(dir + "/boot/loader/entries/*" + m.Booted.Short() + "*")
	b.must(err)
	b.must(os.Rename(entries[0], strings.TrimSuffix(entries[0], ".conf")+"+0-3.conf"))
	state, err := m.readState()
	if p := leaving(state); err != nil || p != (pending{}) {
		t.Errorf("leaving: %+v, %v; want nothing", p, err)
	}
	o := Options{Force: true}
	if got, err := m.Apply(t.Context(), o, silent{}); err != nil || got.Outcome != AlreadyBooted {
		t.Errorf("%+v, %v; want it to be the next again", got, err)
	}
	b.must(m.Close())
	if next, _, _ := strings.Cut(b.titles(dir), ","); next != "OS (2)" {
		t.Errorf("%s boots next; want OS (2)", next)
	}
}

// What leads a reboot elsewhere may lead to what is dropped, so it goes too. Where nothing is
// dropped it is somebody's wish.
func TestDropWithDiversions(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		b := newBench(t)
		b.again("2-again", "2")
		two := deployment.ID(b.idOf("2"))
		for _, rollback := range []bool{true, false} {
			m := b.open(b.copy(), nil)
			b.runAsTwo(m)
			if rollback {
				_, err := m.Rollback(t.Context(), "")
				b.must(err)
			}
			name := bootcount.VariableFile(boot.OneShot)
			b.must(m.Host.MkdirAll(path.Dir(name), 0o755))
			b.must(m.Host.WriteFile(name, []byte{7, 0, 0, 0, 'a', 0, 0, 0}, 0o644))
			m.RunAs(two, m.Host.FS())
			m.etc = deployment.EtcOverlay
			result := b.attempt(m, b.options("2-again"))
			_, err := m.Host.Stat(name)
			if result.Outcome != AlreadyBooted || (result.DroppedRollback != "") != rollback || (err == nil) == rollback {
				t.Errorf("with a rollback queued (%t): %+v, and of %s: %v", rollback, result, boot.OneShot, err)
			}
			b.must(m.Close())
		}
	})
}
