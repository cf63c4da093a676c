package status

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// onlyRoot notes that another user would learn more.
const onlyRoot = "some details are readable only by root"

// A gatherer puts a Status together.
type gatherer struct {
	sys     *machine.System
	m       machine.State
	status  Status
	denied  []string // what only root may read
	byID    map[deployment.ID]*Deployment
	ordered []deployment.ID
}

// Gather returns the status of a machine. It takes no lock and changes nothing. That
// the machine was not booted from a deployment, or that something is broken or may not
// be read, is part of the status.
func Gather(system *machine.System) Status {
	g := &gatherer{sys: system, m: system.State(), byID: make(map[deployment.ID]*Deployment)}
	g.status.Running = g.m.Running
	g.readMounts()
	for _, p := range g.m.Problems {
		g.note(p)
	}
	g.listDeployments()
	g.readStates()
	g.noteForeign()
	g.noteNoEntries()
	g.mark()
	g.readHealth()
	g.readEtc()
	g.readReset()
	g.readProtect()
	g.readChecked()
	g.status.Loader = printable.Title(g.m.Loader.Loader())
	g.readLoader()
	g.readVarPartition()
	g.readESPs()
	if len(g.denied) > 0 {
		g.status.Notes = append(g.status.Notes, onlyRoot+": "+strings.Join(g.denied, ", "))
	}
	g.status.Deployments = g.sorted()
	return g.status
}

// problem notes that something could not be read, but not that it does not exist.
func (g *gatherer) problem(what string, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.note(machine.Problem{What: what, Err: err})
	}
}

func (g *gatherer) note(p machine.Problem) {
	if errors.Is(p.Err, fs.ErrPermission) {
		g.denied = append(g.denied, p.What)
	}
	g.status.Problems = append(g.status.Problems, p.Error())
}

// listDeployments lists the deployments in the order in which those of equal interest
// are shown: the booted one, the staged one, and the others as State.Known has them.
func (g *gatherer) listDeployments() {
	g.add(g.m.Booted)
	if g.m.Staged != nil {
		g.add(g.m.Staged.ID)
	}
	for _, id := range g.m.Known() {
		g.add(id)
	}
}

func (g *gatherer) add(id deployment.ID) {
	if id == "" || g.byID[id] != nil {
		return
	}
	g.byID[id] = &Deployment{ID: id}
	g.ordered = append(g.ordered, id)
}

// readStates fills in what is known of each deployment.
func (g *gatherer) readStates() {
	for _, id := range g.ordered {
		d := g.byID[id]
		d.PinName, d.Pinned = g.m.Pins[id]
		d.Origin = g.m.Origins[id]
		g.readImage(d)
		g.readEntryOf(d)
	}
}

// noteNoEntries notes a boot partition that is hardly the machine's own, as another
// machine's or none is mounted where it should be.
func (g *gatherer) noteNoEntries() {
	where := "boot"
	switch {
	case g.status.Running || len(g.ordered) == 0 || slices.ContainsFunc(g.m.Files, boot.EntryFile.IsDeployment):
		return
	case g.sys.Boot != nil:
		where = g.sys.Boot.String()
	case !errors.Is(g.sys.BootErr, fs.ErrNotExist):
		return
	}
	g.status.Problems = append(g.status.Problems, "no deployment has an entry in "+where+": is the machine's boot partition mounted there?")
}

// readEntryOf fills in what the deployment's boot entry tells: the first one in
// the loader's order.
func (g *gatherer) readEntryOf(d *Deployment) {
	i := slices.IndexFunc(g.m.Files, func(f boot.EntryFile) bool { return f.Target.ID == d.ID && !g.isPast(f) })
	if i < 0 {
		d.State = NoEntry
		if !g.m.HasBoot {
			d.State = Unknown
		}
		return
	}
	f := g.m.Files[i]
	d.Entry, d.Title = f.File, f.Entry.Title
	d.Counted, d.TriesLeft, d.TriesDone = f.Name.Counted, f.Name.TriesLeft, f.Name.TriesDone
	d.VerityOptional = g.isOptional(f)
	switch {
	case f.Err != nil:
		d.State, d.Why = Broken, fmt.Sprintf("boot entry %s: %v", f.File, f.Err)
	case f.Staged:
		d.State = Staged
	case f.Name.Exhausted() && !g.m.OnLastTry(f):
		d.State, d.Why = Failed, g.whyFailed(d)
	case f.Name.Counted:
		d.State = Trying
		switch {
		case d.ID == g.m.Booted:
			d.Why = g.whyTrying(d)
			d.Miscount = boot.Miscount(g.sys.Running, f)
		case d.TriesDone > 0:
			d.Why = g.whyFailed(d)
		}
	default:
		d.State = Good
	}
}

// isPast reports whether an entry is of an earlier time, when a deployment that is
// staged now had used up its boots: an image that has failed can be applied again.
func (g *gatherer) isPast(f boot.EntryFile) bool {
	if g.m.Staged == nil || g.m.Staged.ID != f.Target.ID || g.m.Staged.Entry == "" || !f.Name.Exhausted() {
		return false
	}
	now, err := bootentry.ParseName(strings.TrimSuffix(g.m.Staged.Entry, ".staged"))
	return err == nil && now.Base != f.Name.Base
}

// mark marks the deployments that are booted, staged, next, and to roll back to.
func (g *gatherer) mark() {
	if d := g.byID[g.m.Booted]; d != nil {
		d.Booted = true
	}
	choice := g.m.Choice()
	elsewhere := choice.ID != "" && !choice.Entry.IsDeployment()
	switch {
	case choice.By != "":
		g.status.Notes = append(g.status.Notes, choice.String())
	case elsewhere:
		g.status.Notes = append(g.status.Notes, fmt.Sprintf("the loader's first entry is %s, %s", choice.Entry.File, whose(choice.Entry)))
	}
	for _, d := range g.m.Diversions {
		g.status.Notes = append(g.status.Notes, string(d))
	}
	g.status.RollbackQueued = g.m.RollbackQueued()
	if d := g.byID[g.m.Rollback()]; d != nil {
		d.Rollback = true
	}
	if d := g.byID[g.m.Next()]; d != nil && (!elsewhere || g.m.Staged != nil && choice.By == "") {
		d.Next = true
	}
	if record := g.m.Staged; record != nil {
		d := g.byID[record.ID]
		d.Staged, d.Locked, d.SoftReboot = true, record.FinalizationLocked, record.ID == g.m.SoftReboot
		if d.Why == "" {
			d.Why = g.whyStaged()
		}
	}
}

// sorted returns the deployments in the order of interest.
func (g *gatherer) sorted() []Deployment {
	var all []Deployment
	for _, id := range g.ordered {
		all = append(all, *g.byID[id])
	}
	rank := func(d Deployment) int {
		return slices.Index([]bool{d.Booted, d.Staged, d.Next, d.Rollback, true}, true)
	}
	slices.SortStableFunc(all, func(a, b Deployment) int { return rank(a) - rank(b) })
	return all
}
