package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/attempts"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A State is what is known of a machine, read once. The zero State is that of a machine
// without deployments.
type State struct {
	Running   bool               // it is the machine that this program runs on
	Booted    deployment.ID      // "" unless it is running and was booted from a deployment
	Files     []boot.EntryFile   // boot entries in the loader's order, with those of other systems
	HasBoot   bool               // there is a boot partition, and Files is what it has
	Loader    boot.Settings      // what the loader was told to boot
	Staged    *deployment.Staged // nil if nothing is staged
	StagedErr error              // why a staged record that is there does not count
	Dirs      []deployment.ID    // deployments with a state directory
	Lost      []deployment.ID    // those of Dirs whose boot entry somebody has removed; they have an image and an /etc

	Diversions []Diversion // what keeps a plain reboot of the running system from leading to Next

	Mounts   []mountplan.Mounted                      // mount table of the running system
	Pins     map[deployment.ID]string                 // the name of each deployment's pin, "" for none
	Broken   map[deployment.ID]bool                   // whose image is missing: they cannot boot, whatever their entries say
	Origins  map[deployment.ID]deployment.Origin      // where the known deployments came from
	Attempts map[deployment.ID]deployment.Attempts    // what the initramfs counts; Files have its tries
	Failures map[deployment.ID]deployment.BootFailure // the last recorded boot failures, of removed deployments too
	Overdue  *deployment.Overdue                      // about Staged; nil if there is no such record
	// SoftReboot is what a soft reboot was asked to continue with, "" for the running system.
	SoftReboot deployment.ID

	Problems []Problem
}

// A Problem is a part of a machine that could not be read, or is not what it should be.
type Problem struct {
	What  string // which part: "boot partition", "pins"
	Err   error
	Fatal bool // without that part, nothing may be removed or replaced
}

func (p Problem) Error() string { return fmt.Sprintf("%s: %v", p.What, p.Err) }
func (p Problem) Unwrap() error { return p.Err }

// Err returns the problems without whose solution nothing may be decided from the
// State, nil if there are none.
func (s State) Err() error {
	var errs []error
	for _, p := range s.Problems {
		if p.Fatal {
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}

// State reads what is known of the machine.
func (s *System) State() State {
	r := &reader{System: s}
	r.readMounts()
	r.Diversions = s.diversions()
	r.problem(s.SysrootErr != nil, "physical root", s.SysrootErr)
	r.readEntries()
	if s.Sysroot != nil {
		r.readDirs()
		var err error
		r.Pins, err = records.LoadPins(s.Sysroot)
		r.problem(true, "pins", err)
		r.readFailures()
		r.readAttempts()
	}
	r.readStaged()
	r.readDeployments()
	r.readLost()
	return r.State
}

// A reader pieces a State together.
type reader struct {
	*System
	State
}

// problem notes err. What does not exist is not a problem.
func (r *reader) problem(fatal bool, what string, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.Problems = append(r.Problems, Problem{What: what, Err: err, Fatal: fatal})
	}
}

func (r *reader) readMounts() {
	if r.System.Running == nil {
		return
	}
	r.State.Running = true
	// Without a mount table, nothing is known to have been booted from a deployment.
	var err error
	r.State.Mounts, err = mountTable(r.System.Running)
	r.problem(true, "mount table", err)
	if r.State.Booted = r.System.Booted; r.State.Booted == "" {
		r.State.Booted = bootedIn(r.State.Mounts)
	}
}

func (r *reader) readEntries() {
	if r.Boot == nil {
		r.problem(true, "boot partition", r.BootErr)
		return
	}
	files, err := r.Boot.Entries()
	if err != nil {
		r.problem(true, "boot partition", err)
		return
	}
	r.Files, r.HasBoot = files, true
	r.Loader, err = r.Boot.Settings(r.System.Running)
	r.problem(false, "loader.conf", err)
	for _, f := range files {
		if f.Err != nil && !f.IsDeployment() && !f.Foreign {
			// A file that an entry names and that is missing is a problem, too.
			r.Problems = append(r.Problems, Problem{What: "boot entry " + f.File, Err: f.Err})
		}
	}
}

func (r *reader) readDirs() {
	list, err := fs.ReadDir(r.Sysroot, deployment.DeployDir)
	r.problem(true, "deployments", err)
	for _, d := range list {
		id, err := deployment.ParseID(d.Name())
		if err != nil {
			name := path.Join(deployment.DeployDir, d.Name())
			r.Problems = append(r.Problems, Problem{What: name, Err: errors.New("not a deployment")})
			continue
		}
		r.Dirs = append(r.Dirs, id)
	}
}

// readStaged reads the staged record: ours, which survives a crash, or else bootc's.
func (r *reader) readStaged() {
	if r.Sysroot != nil && r.noteStaged(records.LoadStaged(r.Sysroot)) {
		overdue, err := records.IfAny(records.LoadOverdue(r.Sysroot, r.Staged.ID))
		r.problem(false, "why the staged deployment is overdue", err)
		r.State.Overdue = overdue
		r.readSoftReboot()
		return
	}
	if r.System.Running != nil {
		r.noteStaged(records.LoadRunStaged(r.System.Running))
	}
}

// readSoftReboot reads the request for a soft reboot into the staged deployment.
func (r *reader) readSoftReboot() {
	if r.System.Running == nil {
		return
	}
	request, err := records.IfAny(records.LoadSoftReboot(r.System.Running))
	r.problem(false, "request for a soft reboot", err)
	if request != nil && request.Target.ID == r.Staged.ID {
		r.SoftReboot = r.Staged.ID
	}
}

// noteStaged takes over a staged record, and reports whether there is one.
func (r *reader) noteStaged(record deployment.Staged, err error) bool {
	if err == nil {
		r.Staged = &record
		return true
	}
	isDamaged := errors.Is(err, records.ErrDamaged)
	if isDamaged {
		r.StagedErr = err
	}
	r.problem(!isDamaged, "staged record", err)
	return false
}

func (r *reader) readFailures() {
	failures, broken, err := records.LoadBootFailures(r.Sysroot)
	r.problem(true, "boot failures", err)
	for _, id := range slices.Sorted(maps.Keys(broken)) {
		r.problem(false, BootFailureOf(id), broken[id])
	}
	r.Failures = failures
}

// readAttempts gives the entries of deployments whose boots the initramfs counts the tries
// that it leaves them. Those of a spent one come last: it boots the fallback in their place.
func (r *reader) readAttempts() {
	all, broken, err := records.LoadAllAttempts(r.Sysroot)
	r.problem(true, "boot attempts", err)
	for _, id := range slices.Sorted(maps.Keys(broken)) {
		r.problem(false, "boot attempts of deployment "+id.Short(), broken[id])
	}
	r.Attempts = all
	var spent []boot.EntryFile
	files := slices.Clone(r.Files)
	for i, f := range files {
		a, known := all[f.Target.ID]
		if !known || !f.Bootable() || !attempts.Counts(a, r.Files) {
			continue
		}
		if files[i].Name = attempts.Name(f.Name, a); a.Spent() {
			spent = append(spent, files[i])
		}
	}
	isSpent := func(f boot.EntryFile) bool {
		return slices.ContainsFunc(spent, func(s boot.EntryFile) bool { return s.File == f.File })
	}
	files = slices.DeleteFunc(files, isSpent)
	after := slices.IndexFunc(files, func(f boot.EntryFile) bool { return !f.Bootable() })
	if after < 0 {
		after = len(files)
	}
	r.Files = slices.Insert(files, after, spent...)
}

// BootFailureOf names the record of a failed boot in a Problem.
func BootFailureOf(id deployment.ID) string { return "boot failure of deployment " + id.Short() }

// readDeployments reads what there is of each deployment.
func (r *reader) readDeployments() {
	r.Origins = make(map[deployment.ID]deployment.Origin)
	r.Broken = make(map[deployment.ID]bool)
	for _, id := range r.Known() {
		if r.Sysroot == nil {
			continue
		}
		o, err := records.LoadOrigin(r.Sysroot, id)
		r.problem(false, "origin of deployment "+id.Short(), err)
		if err == nil {
			r.Origins[id] = o
		}
		if r.hasNoImage(id) {
			r.Broken[id] = true
			r.Problems = append(r.Problems, Problem{What: "deployment " + id.Short(), Err: errNoImage})
		}
	}
}

// readLost finds out which deployments nothing is wrong with but that their boot entry is
// gone, though it was not removed for them to be. Without an /etc they were never booted:
// the first apply was cut off.
func (r *reader) readLost() {
	if !r.HasBoot || r.Sysroot == nil {
		return
	}
	for _, id := range r.Dirs {
		has := func(f boot.EntryFile) bool { return r.entryFor(f) == id }
		if id == r.State.Booted || id == r.staged() || r.Broken[id] || slices.ContainsFunc(r.Files, has) {
			continue
		}
		had, err := r.Boot.HadEntry(id)
		if r.problem(true, "record of boot entries", err); !had {
			continue
		}
		etc, err := fs.ReadDir(r.Sysroot, id.EtcDir())
		// What cannot be looked at may be there.
		if len(etc) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.Lost = append(r.Lost, id)
		}
	}
}

var errNoImage = errors.New("no image in the repository")

func (r *reader) hasNoImage(id deployment.ID) bool {
	if r.Repository != nil {
		found, err := r.Repository.HasImage(string(id))
		r.problem(true, "image of deployment "+id.Short(), err)
		return err == nil && !found
	}
	_, err := fs.Stat(r.Sysroot, id.ImageFile())
	return errors.Is(err, fs.ErrNotExist)
}

// Known returns all deployments: those with boot entries in the loader's order, then
// those of which there is something else.
func (s State) Known() []deployment.ID {
	var ids idList
	for _, f := range s.Files {
		ids.add(f.Target.ID)
	}
	ids.add(s.Booted, s.staged())
	ids.add(s.Dirs...)
	ids.add(slices.Sorted(maps.Keys(s.Pins))...)
	return ids
}

// staged returns the staged deployment, "" if there is none.
func (s State) staged() deployment.ID {
	if s.Staged == nil {
		return ""
	}
	return s.Staged.ID
}

// An idList has each deployment once, and never "".
type idList []deployment.ID

func (l *idList) add(ids ...deployment.ID) {
	for _, id := range ids {
		if id != "" && !slices.Contains(*l, id) {
			*l = append(*l, id)
		}
	}
}
