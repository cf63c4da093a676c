package deployment

import (
	"errors"
	"slices"
	"strings"
)

// Files of the History of the machine.
const (
	HistoryFile        = StateDir + "/history.jsonl"
	HistoryLockFile    = StateDir + "/history.lock" // only root can open it, and so lock it
	DamagedHistoryFile = HistoryFile + ".damaged"   // what could not be read as one
)

// A History is what has happened to the deployments of a machine, the oldest first. It has an
// end: of more than HistoryEvents, or more than historySize, the oldest are dropped.
type History []Event

// HistoryEvents is how many events a History has at most, historySize how large its file may
// get, and eventTextSize how much of each text is kept, in bytes.
const (
	HistoryEvents = 500
	historySize   = 768 << 10 // limits.Record is more
	eventTextSize = 500
)

// An EventKind is what has happened.
type EventKind string

// The kinds of events.
const (
	EventInstalled  EventKind = "installed"   // the machine's first deployment
	EventStaged     EventKind = "staged"      // on the running machine, to take over at shutdown
	EventUpdated    EventKind = "updated"     // on a machine that was not running: it boots next
	EventRolledBack EventKind = "rolled-back" // somebody made another deployment the next
	EventDropped    EventKind = "dropped"     // it was to boot next, and no longer is
	EventBlessed    EventKind = "blessed"     // a deployment on trial has proved itself
	EventFailed     EventKind = "failed"      // a boot of it
	EventFellBack   EventKind = "fell-back"   // it was booted in place of one that failed
	EventUnfinished EventKind = "unfinished"  // it was staged, and finalize failed at a shutdown
	EventKargs      EventKind = "kargs"       // somebody changed its kernel arguments
	EventReset      EventKind = "reset"       // the machine has a fresh /etc and /var from its next boot on
	EventUnreset    EventKind = "unreset"     // it has those from before the reset again
	EventOldRemoved EventKind = "old-removed" // the system that it was installed beside was removed
)

// An Event is something that has happened to a deployment.
type Event struct {
	Time        string    `json:"time"` // RFC 3339
	Kind        EventKind `json:"event"`
	ID          ID        `json:"deployment"`
	Version     string    `json:"version,omitempty"`
	From        ID        `json:"from,omitempty"` // the deployment before it, or in whose place it is
	FromVersion string    `json:"fromVersion,omitempty"`
	Reference   string    `json:"reference,omitempty"`
	By          string    `json:"by,omitempty"`     // who did it: a user, or a unit
	Reason      string    `json:"reason,omitempty"` // why
	// Unread is a line of the file that is not an event; the other fields are "".
	Unread string `json:"unread,omitempty"`
}

// Add adds an event, and drops the oldest if there are too many.
func (h *History) Add(e Event) {
	for _, text := range []*string{&e.Version, &e.FromVersion, &e.Reference, &e.By, &e.Reason} {
		if *text = strings.ToValidUTF8(*text, "\uFFFD"); len(*text) > eventTextSize {
			*text = shorten(*text, eventTextSize)
		}
	}
	*h = append(*h, e)
	size, first := 0, len(*h)
	for first > max(0, len(*h)-HistoryEvents) {
		if size += len((*h)[first-1].encode()); size > historySize {
			break
		}
		first--
	}
	*h = (*h)[first:]
}

// ToldFellBack reports whether the last event of a deployment is that another one was booted in
// its place.
func (h History) ToldFellBack(spent ID) bool {
	for _, e := range slices.Backward(h) {
		switch {
		case e.Kind == EventFellBack && e.From == spent:
			return true
		case e.ID == spent:
			return false
		}
	}
	return false
}

// ToldBlessed reports whether the last event of a deployment is that it has proved itself.
func (h History) ToldBlessed(id ID) bool {
	for _, e := range slices.Backward(h) {
		if e.ID == id {
			return e.Kind == EventBlessed
		}
	}
	return false
}

// ToldUnfinished reports whether there is an event that finalize failed at some time.
func (h History) ToldUnfinished(id ID, time string) bool {
	return slices.ContainsFunc(h, func(e Event) bool { return e.Kind == EventUnfinished && e.ID == id && e.Time == time })
}

// ParseHistory reads a HistoryFile: an event a line. Any other line is kept as it is.
func ParseHistory(data []byte) (History, error) {
	var h History
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		e, err := parseEvent(line)
		if err != nil {
			e = Event{Unread: line}
		}
		h = append(h, e)
	}
	return h, nil
}

func parseEvent(line string) (Event, error) {
	r, err := parseRecord([]byte(line))
	if err != nil {
		return Event{}, err
	}
	e := Event{
		Time: jsonMember[string](r, "time"), Kind: EventKind(jsonMember[string](r, "event")),
		ID: ID(jsonMember[string](r, "deployment")), Version: jsonMember[string](r, "version"),
		From: ID(jsonMember[string](r, "from")), FromVersion: jsonMember[string](r, "fromVersion"),
		Reference: jsonMember[string](r, "reference"), By: jsonMember[string](r, "by"), Reason: jsonMember[string](r, "reason"),
	}
	if r.err != nil {
		return Event{}, r.err
	}
	if e.Time == "" || e.Kind == "" {
		return Event{}, errors.New("an event without a time or a kind")
	}
	for _, id := range []ID{e.ID, e.From} {
		if _, err := ParseID(string(id)); id != "" && err != nil {
			return Event{}, err
		}
	}
	return e, nil
}

// Encode returns the history as JSON, a line for each event.
func (h History) Encode() []byte {
	var b strings.Builder
	for _, e := range h {
		b.WriteString(e.encode())
	}
	return []byte(b.String())
}

// encode returns the line of an event.
func (e Event) encode() string {
	if e.Unread != "" {
		return e.Unread + "\n"
	}
	return encodeObject(text("time", e.Time), text("event", string(e.Kind)), optional("deployment", string(e.ID)),
		optional("version", e.Version), optional("from", string(e.From)), optional("fromVersion", e.FromVersion),
		optional("reference", e.Reference), optional("by", e.By), optional("reason", e.Reason)) + "\n"
}
