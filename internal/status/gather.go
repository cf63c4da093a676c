package status

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A gatherer pieces a Status together.
type gatherer struct {
	Sources
	status  Status
	files   []boot.EntryFile
	booted  deployment.ID
	record  *deployment.Staged
	denied  bool
	pins    map[deployment.ID]string
	byID    map[deployment.ID]*Deployment
	ordered []deployment.ID
}

// Gather returns the status of a machine from what there is.
func Gather(src Sources) Status {
	g := &gatherer{Sources: src, byID: make(map[deployment.ID]*Deployment)}
	g.status.Running = src.Running != nil
	if src.Running != nil {
		g.booted, _ = bootedID(src.Running)
		g.readMounts()
	}
	g.problem("physical root", src.SysrootErr)
	g.readEntries()
	g.readStaged()
	g.readPins()
	g.findDeployments()
	g.readStates()
	g.noteForeign()
	g.noteNoEntries()
	g.mark()
	g.noteLoaderSettings()
	g.noteEtc()
	if g.denied {
		g.status.Notes = append(g.status.Notes, "not everything may be read: root sees more")
	}
	g.status.Deployments = g.sorted()
	return g.status
}

// bootedID returns the deployment whose root is mounted at /.
func bootedID(running fs.FS) (deployment.ID, bool) {
	data, err := bounded.ReadFile(running, "proc/self/mountinfo", limits.Kernel)
	if err != nil {
		return "", false
	}
	mounts, err := mountplan.ParseMountinfo(string(data))
	if err != nil {
		return "", false
	}
	root, _ := mountplan.At(mounts, "/")
	return deployment.FromMountSource(root.What)
}

// problem notes that something could not be read. What does not exist is no
// problem.
func (g *gatherer) problem(what string, err error) {
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return
	case errors.Is(err, fs.ErrPermission):
		g.denied = true
	}
	g.status.Problems = append(g.status.Problems, fmt.Sprintf("%s: %v", what, err))
}

func (g *gatherer) readEntries() {
	if g.Boot == nil {
		g.problem("boot partition", g.BootErr)
		return
	}
	var err error
	if g.files, err = g.Boot.Entries(); err != nil {
		g.Boot = nil
		g.problem("boot partition", err)
		return
	}
	for _, f := range g.files {
		if f.Err != nil && !f.IsDeployment() && !f.Foreign {
			g.problem("boot entry "+f.File, errors.New(f.Err.Error()))
		}
	}
}

func (g *gatherer) readPins() {
	if g.Sysroot == nil {
		return
	}
	var err error
	g.pins, err = deployment.Pins(g.Sysroot)
	g.problem("pins", err)
}

// readStaged reads the staged record: ours, which survives a crash, or else
// that of bootc.
func (g *gatherer) readStaged() {
	if g.Sysroot != nil && g.readStagedFrom(g.Sysroot, deployment.StagedRecord) {
		return
	}
	if g.Running != nil {
		g.readStagedFrom(g.Running, deployment.RunStaged)
	}
}

func (g *gatherer) readStagedFrom(root fs.FS, name string) bool {
	data, err := bounded.ReadFile(root, name, limits.Record)
	if err == nil {
		var record deployment.Staged
		if record, err = deployment.ParseStaged(data); err == nil {
			g.record = &record
			return true
		}
	}
	g.problem("staged record", err)
	return false
}

// findDeployments finds out which deployments there are.
func (g *gatherer) findDeployments() {
	g.add(g.booted)
	if g.record != nil {
		g.add(g.record.ID)
	}
	for _, f := range g.files {
		g.add(f.Target.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(g.pins)) {
		g.add(id)
	}
	if g.Sysroot == nil {
		return
	}
	list, err := fs.ReadDir(g.Sysroot, deployment.DeployDir)
	g.problem("deployments", err)
	for _, d := range list {
		id, err := deployment.ParseID(d.Name())
		if err != nil {
			g.status.Problems = append(g.status.Problems, fmt.Sprintf("%s/%s is no deployment", deployment.DeployDir, d.Name()))
			continue
		}
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
		d.PinName, d.Pinned = g.pins[id]
		g.readOrigin(d)
		g.readImage(d)
		g.readEntryOf(d)
		if g.Sysroot == nil {
			continue
		}
		_, err := fs.Stat(g.Sysroot, path.Join(deployment.RepositoryDir, "images", string(id)))
		if errors.Is(err, fs.ErrNotExist) {
			g.status.Problems = append(g.status.Problems, fmt.Sprintf("deployment %s has no image in the repository", id.Short()))
		}
	}
}

// noteNoEntries notes a boot partition that is hardly the machine's own, as another
// machine's or none is mounted where it should be.
func (g *gatherer) noteNoEntries() {
	where := "boot"
	switch {
	case g.status.Running || len(g.ordered) == 0 || slices.ContainsFunc(g.files, boot.EntryFile.IsDeployment):
		return
	case g.Boot != nil:
		where = g.Boot.String()
	case !errors.Is(g.BootErr, fs.ErrNotExist):
		return
	}
	g.status.Problems = append(g.status.Problems, "no deployment has an entry in "+where+": is the machine's boot partition mounted there?")
}

func (g *gatherer) readOrigin(d *Deployment) {
	if g.Sysroot == nil {
		return
	}
	data, err := bounded.ReadFile(g.Sysroot, d.ID.OriginFile(), limits.Record)
	if err == nil {
		d.Origin, err = deployment.ParseOrigin(data)
	}
	g.problem("origin of deployment "+d.ID.Short(), err)
}

// readEntryOf fills in what the deployment's boot entry tells: the first one in
// the loader's order.
func (g *gatherer) readEntryOf(d *Deployment) {
	i := slices.IndexFunc(g.files, func(f boot.EntryFile) bool { return f.Target.ID == d.ID && !g.isPast(f) })
	if i < 0 {
		d.State = NoEntry
		if g.Boot == nil {
			d.State = Unknown
		}
		return
	}
	f := g.files[i]
	d.Entry, d.Title = f.File, f.Entry.Title
	d.Counted, d.TriesLeft, d.TriesDone = f.Name.Counted, f.Name.TriesLeft, f.Name.TriesDone
	d.VerityOptional = g.isOptional(f)
	switch {
	case f.Err != nil:
		d.State, d.Why = Broken, fmt.Sprintf("boot entry %s: %v", f.File, f.Err)
	case f.Staged:
		d.State = Staged
	case f.Name.Exhausted():
		d.State, d.Why = Failed, g.whyFailed(d)
	case f.Name.Counted:
		d.State = Trying
		switch {
		case d.ID == g.booted:
			d.Why = g.whyTrying(d)
		case d.TriesDone > 0:
			d.Why = g.whyFailed(d)
		}
	default:
		d.State = Good
	}
}

// isPast says whether an entry is of an earlier time, when a deployment that is
// staged now had used up its boots: an image that has failed can be applied again.
func (g *gatherer) isPast(f boot.EntryFile) bool {
	if g.record == nil || g.record.ID != f.Target.ID || g.record.Entry == "" || !f.Name.Exhausted() {
		return false
	}
	now, err := bootentry.ParseName(strings.TrimSuffix(g.record.Entry, ".staged"))
	return err == nil && now.Base != f.Name.Base
}

// whyFailed tells why a boot on trial was not found good: it did not reach
// boot-complete.target, or could not be blessed.
func (g *gatherer) whyFailed(d *Deployment) string {
	const unknown = "no reason was recorded (journalctl --list-boots)"
	failure, ok := g.failureOf(d)
	if !ok {
		return unknown
	}
	why := cmp.Or(failure.Why(), unknown)
	if failure.BootID != "" {
		why += " (journalctl --boot=" + failure.BootID + ")"
	}
	return why
}

// whyTrying tells what keeps the boot that is running from being blessed, "" if
// nothing does yet.
func (g *gatherer) whyTrying(d *Deployment) string {
	failure, ok := g.failureOf(d)
	if !ok || g.isOlderThanBoot(failure.BootID) {
		return ""
	}
	return failure.Why()
}

// failureOf returns what was recorded of the last failed boot of a deployment.
func (g *gatherer) failureOf(d *Deployment) (failure deployment.BootFailure, ok bool) {
	if g.Sysroot == nil {
		return failure, false
	}
	data, err := bounded.ReadFile(g.Sysroot, d.ID.BootFailureFile(), limits.Record)
	if err == nil {
		failure, err = deployment.ParseBootFailure(data)
	}
	g.problem("boot failure of deployment "+d.ID.Short(), err)
	return failure, err == nil
}

// mark says which deployments are booted, staged, next, and to roll back to.
func (g *gatherer) mark() {
	if d := g.byID[g.booted]; d != nil {
		d.Booted = true
	}
	next := deployment.ID("")
	if first, ok := boot.Next(g.files); ok {
		next = first.Target.ID
		if !first.IsDeployment() {
			g.status.Notes = append(g.status.Notes, fmt.Sprintf("the loader's first entry is %s, %s", first.File, whose(first)))
		}
	}
	g.status.RollbackQueued = g.booted != "" && next != "" && next != g.booted && g.record == nil
	if d := g.rollback(next); d != nil {
		d.Rollback = true
	}
	if g.record != nil {
		d := g.byID[g.record.ID]
		d.Staged, d.Locked = true, g.record.FinalizationLocked
		if why := g.whyStaged(); d.Why == "" && why != "" {
			d.Why = why
		}
		if !d.Locked {
			next = d.ID
		}
	}
	if d := g.byID[next]; d != nil {
		d.Next = true
	}
}

// rollback returns the deployment to go back to, or that a queued rollback goes back
// to: the first besides the booted one that is good, or else that has boots left.
func (g *gatherer) rollback(next deployment.ID) *Deployment {
	current := g.booted
	if current == "" {
		current = next
	}
	hasBoots := func(f boot.EntryFile) bool { return f.Bootable() && f.IsDeployment() && !f.Name.Exhausted() }
	for _, suits := range []func(boot.EntryFile) bool{boot.EntryFile.Good, hasBoots} {
		for _, f := range g.files {
			if suits(f) && f.Target.ID != current {
				return g.byID[f.Target.ID]
			}
		}
	}
	return nil
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
