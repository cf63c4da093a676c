package deployment

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestHistory(t *testing.T) {
	id, before := ID(strings.Repeat("a", 128)), ID(strings.Repeat("b", 128))
	h := History{
		{Time: "2026-01-02T03:04:05Z", Kind: EventInstalled, ID: id, Version: "1", Reference: "example.org/os"},
		{Unread: "half of a li"},
		{Time: "2026-01-02T03:04:06Z", Kind: EventFellBack, ID: id, From: before, FromVersion: "2", By: "the \"loader\"", Reason: "a\nb"},
	}
	if got, err := ParseHistory(h.Encode()); err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("read back %+v, %v; want %+v", got, err, h)
	}
	for _, line := range []string{"{}", `{"time": "t"}`, `{"time": "t", "event": "x", "deployment": "zz"}`, `{"time": 1, "event": "x"}`, "\xff", "["} {
		if got, err := ParseHistory([]byte(line)); err != nil || !reflect.DeepEqual(got, History{{Unread: line}}) {
			t.Errorf("ParseHistory(%q) = %+v, %v; want it kept as it is", line, got, err)
		}
	}
}

// However much happens, the history has an end, and has the newest.
func TestHistoryIsBounded(t *testing.T) {
	var h History
	for i := range HistoryEvents + 10 {
		h.Add(Event{Time: fmt.Sprint(i), Kind: EventStaged, Reason: "\xff" + strings.Repeat("ä", 1000)})
	}
	if len(h) != HistoryEvents || h[0].Time != "10" || len(h[0].Reason) > eventTextSize {
		t.Errorf("%d events are left, the first from %s with a reason of %d bytes", len(h), h[0].Time, len(h[0].Reason))
	}
	if size := len(h.Encode()); size > 1<<20 {
		t.Errorf("the history has %d bytes; a record may have 1 MiB", size)
	}
}

// A line that damage has made long, and texts that take most room as JSON, leave room for what
// happens next.
func TestHistoryIsSmall(t *testing.T) {
	h := History{{Unread: strings.Repeat("x", 900<<10)}}
	bad := strings.Repeat("\x01", 1000)
	event := Event{Time: "t", Kind: EventFailed, Version: bad, FromVersion: bad, Reference: bad, By: bad, Reason: bad}
	for range 2 {
		h.Add(event) // which looks at all of them
		for len(h) < HistoryEvents {
			h = append(h, h[len(h)-1])
		}
		h.Add(event)
	}
	if size := len(h.Encode()); size > historySize || len(h) < 50 {
		t.Errorf("%d events take %d bytes", len(h), size)
	}
}

func TestToldFellBack(t *testing.T) {
	bad, good := ID(strings.Repeat("a", 128)), ID(strings.Repeat("b", 128))
	staged, failed := Event{Kind: EventStaged, ID: bad, From: good}, Event{Kind: EventFailed, ID: bad}
	fell := Event{Kind: EventFellBack, ID: good, From: bad}
	for _, test := range []struct {
		h    History
		want bool
	}{
		{nil, false}, {History{staged, failed}, false}, {History{staged, failed, fell}, true},
		{History{staged, failed, fell, {Kind: EventRolledBack, ID: good}}, true}, {History{staged, failed, fell, staged, failed}, false},
	} {
		if got := test.h.ToldFellBack(bad); got != test.want {
			t.Errorf("%+v: %v", test.h, got)
		}
	}
}

func TestToldBlessed(t *testing.T) {
	id, other := ID(strings.Repeat("a", 128)), ID(strings.Repeat("b", 128))
	h := History{{Kind: EventStaged, ID: id}, {Kind: EventBlessed, ID: id}, {Kind: EventStaged, ID: other, From: id}}
	if !h.ToldBlessed(id) || h.ToldBlessed(other) || h[:1].ToldBlessed(id) {
		t.Errorf("of %+v: %v, %v; and before: %v", h, h.ToldBlessed(id), h.ToldBlessed(other), h[:1].ToldBlessed(id))
	}
	if h = append(h, Event{Kind: EventRolledBack, ID: id}); h.ToldBlessed(id) {
		t.Error("it is on trial again, and counts as blessed")
	}
}

func FuzzParseHistory(f *testing.F) {
	f.Add([]byte(`{"time": "2026-01-02T03:04:05Z", "event": "staged"}` + "\n{\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ParseHistory(in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseHistory(h.Encode())
		if err != nil || !reflect.DeepEqual(again, h) {
			t.Errorf("ParseHistory(%q) = %+v; read back %+v, %v", in, h, again, err)
		}
	})
}
