package update

import (
	"cmp"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// remember adds an event to the history. What happened is done: an error is a warning.
func (m *Machine) remember(e deployment.Event) {
	e.By = m.who()
	if err := records.AddEvent(m.Root, m.Changes, e); err != nil {
		m.warn(err)
	}
}

// rememberApply adds what apply has done to the history.
func (m *Machine) rememberApply(r Result, from deployment.ID) {
	e := deployment.Event{ID: r.ID, Version: r.Version, From: from, Reference: r.Reference}
	switch {
	case r.Outcome == Staged:
		e.Kind = deployment.EventStaged
	case r.Outcome == Published && from == "":
		e.Kind = deployment.EventInstalled
	case r.Outcome == Published:
		e.Kind = deployment.EventUpdated
	case r.DroppedStaged != "" || r.DroppedRollback != "":
		e.Kind, e.From = deployment.EventDropped, ""
		e.ID = cmp.Or(r.DroppedStaged, r.DroppedRollback)
		e.Version, e.Reference = m.versionOf(e.ID), ""
	default:
		return
	}
	if e.From == e.ID { // lost its boot entry, or has another reference now
		e.From, e.Reason = "", "it was there already; its boot entry was written again"
	}
	e.FromVersion = m.versionOf(e.From)
	m.remember(e)
}

// rememberRollback adds a rollback to the history, and tells the journal.
func (m *Machine) rememberRollback(id, from deployment.ID) {
	e := deployment.Event{
		Kind: deployment.EventRolledBack, ID: id, Version: m.versionOf(id), From: from, FromVersion: m.versionOf(from),
	}
	m.remember(e)
	if m.Booted == "" || m.Host == nil || m.Host.Name() != "/" {
		return
	}
	log := journal.Log{Socket: journal.Socket, Identifier: "sysupdate-image", Else: nowhere{}}
	log.Write(journal.Entry{
		Priority: journal.Notice, ID: string(msgRolledBack), Message: "deployment " + id.Short() + " boots next: rolled back",
		Fields: []journal.Field{{Name: "SYSUPDATE_IMAGE_DEPLOYMENT", Value: string(id)}},
	})
}

// rememberKargs adds a change to the kernel arguments of a deployment to the history.
func (m *Machine) rememberKargs(c KargsChange) {
	var changes []string
	for _, arg := range c.Added {
		changes = append(changes, "+"+arg)
	}
	for _, arg := range c.Removed {
		changes = append(changes, "-"+arg)
	}
	m.remember(deployment.Event{
		Kind: deployment.EventKargs, ID: c.ID, Version: m.versionOf(c.ID), Reason: "kernel arguments: " + strings.Join(changes, " "),
	})
}

// rememberReset adds to the history that the states of a reset have changed places.
func (m *Machine) rememberReset(kind deployment.EventKind, id deployment.ID) {
	m.remember(deployment.Event{Kind: kind, ID: id, Version: m.versionOf(id)})
}

// RememberOldRemoved adds to the history that the system beside which the machine was installed
// was removed.
func (m *Machine) RememberOldRemoved(name string) {
	id := m.Booted
	m.remember(deployment.Event{Kind: deployment.EventOldRemoved, ID: id, Version: m.versionOf(id), Reason: name})
}

// nowhere drops what the journal does not take: the history has it.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func (m *Machine) versionOf(id deployment.ID) string {
	if id == "" {
		return ""
	}
	o, err := m.readOrigin(id)
	if err != nil {
		return ""
	}
	return o.Version
}

// noLogin is the user id of a process that no login began.
const noLogin = "4294967295"

// who returns on whose behalf the program runs on the running machine: the user who logged in,
// also where that one has become root, or a unit; "" if that is not known.
func (m *Machine) who() string {
	if m.Running == nil {
		return ""
	}
	if text, err := bounded.ReadFile(m.Running, "proc/self/loginuid", limits.Kernel); err == nil {
		if uid := strings.TrimSpace(string(text)); uid != noLogin && uid != "" {
			return m.userName(uid)
		}
	}
	text, err := bounded.ReadFile(m.Running, "proc/self/cgroup", limits.Kernel)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if unit := path.Base(strings.TrimSpace(line)); strings.HasSuffix(unit, ".service") {
			return unit
		}
	}
	return ""
}

// userName returns the name of a user, or the number.
func (m *Machine) userName(uid string) string {
	text, _ := bounded.ReadFile(m.Running, "etc/passwd", limits.Accounts)
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == uid {
			return "user " + f[0]
		}
	}
	return "user " + uid
}
