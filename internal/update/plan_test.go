package update

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// A wreck is a machine on which many things have happened.
type wreck struct {
	*bench
	dir    string
	booted deployment.ID // "" for one that is not running
	rand   *rand.Rand
	log    []string
}

func (w *wreck) open() *Machine {
	m := w.bench.open(w.dir, nil)
	if w.booted != "" {
		m.RunAs(w.booted, os.DirFS("/nowhere"))
		m.etc = deployment.EtcOverlay
	}
	return m
}

// befall has something happen to the machine.
func (w *wreck) befall() {
	m := w.open()
	defer m.Close()
	s, err := m.readState()
	w.must(err)
	id := w.any(s.Known())
	switch what := w.rand.IntN(8); what {
	case 0, 1:
		tag := w.any(tags)
		w.log = append(w.log, "apply "+string(tag))
		o := w.options(string(tag))
		o.Force = true
		w.attempt(m, o)
	case 2:
		w.log = append(w.log, "rollback")
		if _, err := m.Rollback(w.t.Context(), ""); err != nil {
			w.log = append(w.log, err.Error())
		}
	case 3:
		w.log = append(w.log, "pin "+id.Short())
		_, err := m.Pin(string(id), "")
		w.must(err)
	case 4, 5:
		w.log = append(w.log, "fail "+id.Short())
		name := w.rename(id, "+0-3.conf")
		if name != "" && what == 4 { // otherwise it is the last boot on trial, or nobody has recorded anything
			w.must(records.StoreBootFailure(m.Changes, deployment.BootFailure{ID: id, Entry: name, Time: "2026-01-02T03:04:05Z"}))
		}
	case 6:
		w.log = append(w.log, "bless all")
		BlessAll(w.t, w.dir)
	case 7:
		if first, ok := s.First(); ok && s.Staged == nil {
			w.log = append(w.log, "boot "+first.Target.ID.Short())
			w.booted = first.Target.ID
		}
	}
}

// rename gives the entries of a deployment another end, and returns the name of one.
func (w *wreck) rename(id deployment.ID, end string) (name string) {
	files, err := filepath.Glob(w.dir + "/boot/loader/entries/*" + id.Short() + "*.conf")
	w.must(err)
	for _, file := range files {
		base, _, _ := strings.Cut(strings.TrimSuffix(file, ".conf"), "+")
		w.must(os.Rename(file, base+end))
		name = filepath.Base(base + end)
	}
	return name
}

// any returns one of the ids, or tags.
func (w *wreck) any(ids []deployment.ID) deployment.ID { return ids[w.rand.IntN(len(ids))] }

var tags = []deployment.ID{"1", "2", "3", "2-renamed"}

// TestPlanIsCarriedOut plans random updates of random machines, applies them, and compares
// what has happened with what was planned.
func TestPlanIsCarriedOut(t *testing.T) {
	t.Parallel()
	ns.Run(t, func(t *testing.T) { // staging writes to /run
		b := newBench(t)
		outcomes := make(map[Outcome]int)
		for seed := range uint64(60) {
			w := &wreck{bench: b, dir: b.copy(), rand: rand.New(rand.NewPCG(seed, 11))}
			if w.rand.IntN(4) > 0 {
				w.booted = deployment.ID(b.idOf(fmt.Sprint(1 + w.rand.IntN(2))))
			}
			for range w.rand.IntN(6) {
				w.befall()
			}
			outcomes[w.checkPlan(fmt.Sprintf("seed %d: %s", seed, strings.Join(w.log, ", ")))]++
			b.must(os.RemoveAll(w.dir))
		}
		t.Log(outcomes)
		for _, o := range []Outcome{AlreadyBooted, AlreadyNext, Staged, Published, Skipped, RollbackQueued} {
			if outcomes[o] == 0 {
				t.Errorf("no machine came to %s: %v", o, outcomes)
			}
		}
	})
}

// checkPlan compares a plan with what comes of it.
func (w *wreck) checkPlan(about string) Outcome {
	m := w.open()
	defer m.Close()
	before, err := m.readState()
	w.must(err)
	o := w.options(string(w.any(tags)))
	if w.rand.IntN(2) == 0 { // a timer asks for what the machine follows
		for _, id := range slices.Sorted(maps.Keys(before.Origins)) {
			w.leadTo(m, id, string(w.any(tags)))
		}
		o = Options{}
	}
	plan, err := m.Plan(w.t.Context(), o, silent{})
	w.must(err)
	about = fmt.Sprintf("%s; then %q, booted %q", about, o.Reference, w.booted)
	if plan.failed != nil && o.Reference != "" {
		if _, err := m.Apply(w.t.Context(), o, silent{}); err == nil || err.Error() != plan.Why {
			w.t.Errorf("%s: apply: %v; want %q", about, err, plan.Why)
		}
		return plan.Outcome
	}
	got := w.attempt(m, o)
	pruned, err := m.Prune(w.t.Context(), false)
	w.must(err)
	after, err := m.readState()
	w.must(err)
	if plan.ID == "" && (got.ID == before.Booted && got.Outcome != Published || got.Outcome == Skipped || slices.Contains(before.Known(), got.ID)) {
		return got.Outcome // another manifest of what is there: only building it could tell
	}
	w.compare(about, plan, got, after)
	if removed := slices.DeleteFunc(slices.Clone(pruned.Deployments), func(id deployment.ID) bool { return id == unbuilt }); !sameIDs(removed, idsOf(plan.Remove)) {
		w.t.Errorf("%s: removed %v; planned %v", about, short(removed), short(idsOf(plan.Remove)))
	}
	return got.Outcome
}

func (w *wreck) compare(about string, plan Plan, got Result, after machine.State) {
	want := plan.Decision
	if want.ID == "" {
		want.ID = got.ID
	}
	want.failed, want.settled, got.failed, got.settled = nil, false, nil, false
	if got.Decision != want {
		w.t.Errorf("%s: it came to %+v; planned %+v", about, got.Decision, want)
	}
	next := map[Outcome]deployment.ID{
		AlreadyBooted: after.Booted, AlreadyNext: got.ID, Staged: got.ID, Published: got.ID, RollbackQueued: got.QueuedRollback,
		Skipped: after.Next(),
	}[got.Outcome]
	if got.Outcome == AlreadyBooted && after.BootedOnLastTry() {
		next = after.Next() // it is left to this boot
	}
	if after.Next() != next {
		w.t.Errorf("%s: %s: %s boots next; want %s", about, got.Outcome, after.Next().Short(), next.Short())
	}
}

func sameIDs(a, b []deployment.ID) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func short(ids []deployment.ID) (all []string) {
	for _, id := range ids {
		all = append(all, id.Short())
	}
	return all
}
