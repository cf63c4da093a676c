package update

import (
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// TestHistoryOfApply: each way to change what boots next is in the history, and nothing else.
func TestHistoryOfApply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, two := deployment.ID(b.idOf("1")), deployment.ID(b.idOf("2"))
	m := b.open(b.dir, nil)
	defer m.Close()
	before, err := records.LoadHistory(m.Root.FS())
	b.must(err)
	decided := func(o Outcome, id deployment.ID) Result {
		return Result{Decision: Decision{Outcome: o, ID: id}, Version: "v"}
	}
	dropsStaged, dropsRollback := decided(AlreadyBooted, one), decided(AlreadyBooted, two)
	dropsStaged.DroppedStaged, dropsRollback.DroppedRollback = two, one
	again := "it was there already; its boot entry was written again"
	for _, test := range []struct {
		result Result
		from   deployment.ID
		want   deployment.Event
	}{
		{decided(AlreadyNext, two), one, deployment.Event{}},
		{decided(AlreadyBooted, two), two, deployment.Event{}},
		{decided(Published, one), "", deployment.Event{Kind: deployment.EventInstalled, ID: one, Version: "v"}},
		{decided(Published, two), one, deployment.Event{Kind: deployment.EventUpdated, ID: two, Version: "v", From: one, FromVersion: "1"}},
		{decided(Published, two), two, deployment.Event{Kind: deployment.EventUpdated, ID: two, Version: "v", Reason: again}},
		{decided(Staged, two), one, deployment.Event{Kind: deployment.EventStaged, ID: two, Version: "v", From: one, FromVersion: "1"}},
		{dropsStaged, one, deployment.Event{Kind: deployment.EventDropped, ID: two, Version: "2"}},
		{dropsRollback, two, deployment.Event{Kind: deployment.EventDropped, ID: one, Version: "1"}},
	} {
		m.rememberApply(test.result, test.from)
		h, err := records.LoadHistory(m.Root.FS())
		b.must(err)
		var got deployment.Event
		if len(h) > len(before) {
			got = h[len(h)-1]
			got.Time = ""
		}
		if got != test.want {
			t.Errorf("%+v, from %q: %+v; want %+v", test.result.Decision, test.from, got, test.want)
		}
		before = h
	}
}
