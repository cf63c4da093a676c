package update

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// The kernel arguments of a machine are those of the boot entry of its current deployment. A new
// deployment inherits them: see options. To change them, the deployment gets another boot entry,
// on trial like a new deployment, and the one before stays to fall back to.

// KargSource says where a kernel argument comes from.
type KargSource string

// The sources.
const (
	KargDeployment KargSource = "deployment" // it names what is booted, and differs with each deployment
	KargFile       KargSource = "kargs.d"    // a file of the image asks for it
	KargImage      KargSource = "image"      // it is in the image's unified kernel image
	KargInstaller  KargSource = "installer"  // it was added when the machine was installed
	KargMachine    KargSource = "machine"    // somebody has added it here
	KargUnknown    KargSource = "unknown"    // only root can tell whether the image asks for it
)

// A Karg is a kernel argument of a deployment.
type Karg struct {
	Arg    string     `json:"argument"`
	Source KargSource `json:"source"`
	File   string     `json:"file,omitempty"` // of KargFile, in /usr/lib/bootc/kargs.d
}

// Kargs are the kernel arguments of a deployment.
type Kargs struct {
	ID   deployment.ID `json:"deployment"`
	List []Karg        `json:"arguments"`
	// Missing are arguments that a file of the image asks for, and that somebody has removed.
	Missing []Karg `json:"missing,omitempty"`
	// Hidden says what only root could tell.
	Hidden []string `json:"hidden,omitempty"`
}

// A SealedKargsError reports that the kernel arguments of a deployment cannot be changed: they
// are in its unified kernel image.
type SealedKargsError struct{ ID deployment.ID }

func (e *SealedKargsError) Error() string {
	return fmt.Sprintf("the kernel arguments of deployment %s are in its unified kernel image: more of them take a signed addon", e.ID.Short())
}

// ErrBootcUpdate reports that kernel arguments cannot be changed, because a staged deployment
// of bootc's would not get the change.
var ErrBootcUpdate = errors.New("cannot change kernel arguments: bootc has staged an update, which would not have the change")

// sortedKargs says where each argument comes from.
func sortedKargs(id deployment.ID, have kcmdline.Cmdline, asked []kargs.Sourced, installed kcmdline.Cmdline) Kargs {
	k := Kargs{ID: id, List: []Karg{}}
	for _, a := range have {
		karg := Karg{Arg: a.String(), Source: KargMachine}
		i := slices.IndexFunc(asked, func(s kargs.Sourced) bool { return s.Arg == a })
		switch {
		case namesDeployment(a):
			karg.Source = KargDeployment
		case i >= 0:
			karg.Source, karg.File = KargFile, asked[i].File
		case slices.Contains(installed, a):
			karg.Source = KargInstaller
		}
		k.List = append(k.List, karg)
	}
	for _, s := range asked {
		if !slices.Contains(have, s.Arg) && s.String() != "" {
			k.Missing = append(k.Missing, Karg{s.String(), KargFile, s.File})
		}
	}
	return k
}

// namesDeployment reports whether an argument says what is booted.
func namesDeployment(a kcmdline.Arg) bool {
	return len(deployment.WithoutTarget(kcmdline.Cmdline{a})) == 0
}

// A KargsChange says what became of the kernel arguments of a machine.
type KargsChange struct {
	ID      deployment.ID `json:"deployment"`
	Added   []string      `json:"added"`
	Removed []string      `json:"removed"`
	Staged  deployment.ID `json:"staged,omitempty"` // a staged deployment that has them too
}

// ChangeKargs adds and removes kernel arguments of the current deployment, and of the staged one
// if there is one: the next boot has them, and so have all later deployments. One that was
// before this keeps its own. Removing KEY removes each argument with that key. That nothing
// changes is no error.
func (m *Machine) ChangeKargs(ctx context.Context, add, remove []string) (KargsChange, error) {
	s, err := m.readState()
	if err != nil {
		return KargsChange{}, err
	}
	current := s.Current()
	if err := m.checkKargs(s, current); err != nil {
		return KargsChange{}, err
	}
	entry, err := entryOf(s, current)
	if err != nil {
		return KargsChange{}, err
	}
	result := KargsChange{ID: current, Added: []string{}, Removed: []string{}}
	change := func(c kcmdline.Cmdline) (kcmdline.Cmdline, error) { return changed(c, add, remove) }
	now := kcmdline.Parse(boot.WithoutTrial(entry.Options))
	next, err := change(now)
	if err != nil {
		return KargsChange{}, err
	}
	result.Added, result.Removed = only(next, now), only(now, next)
	m.warnOfKargs(now, next, remove)
	if len(result.Added)+len(result.Removed) == 0 {
		return result, errors.Join(ctx.Err(), m.checkStagedKargs(s, change))
	}
	entry.Options = next.String()
	record, err := m.replaceEntries(ctx, s, entry, change)
	if err != nil {
		return result, err
	}
	m.tidyEntries(current)
	m.rememberKargs(result)
	if record == nil {
		return result, nil
	}
	result.Staged = record.ID
	return result, m.armUnlessLocked(ctx, *record)
}

// armUnlessLocked has finalize publish what is staged at the next shutdown of the running machine.
func (m *Machine) armUnlessLocked(ctx context.Context, record deployment.Staged) error {
	if record.FinalizationLocked || m.Booted == "" {
		return nil
	}
	return arm(ctx)
}

// An optionsChange returns the kernel command line that a boot entry is to have in place of c.
type optionsChange func(c kcmdline.Cmdline) (kcmdline.Cmdline, error)

// tidyEntries removes boot entries that the newest one of a deployment has replaced. The change
// is done: an error is a warning, and the next prune removes them.
func (m *Machine) tidyEntries(id deployment.ID) {
	r, err := m.Boot.PlanTidy(id)
	if err == nil && len(r.Entries) > 0 {
		err = m.Boot.Prune(r)
	}
	if err != nil {
		m.warn(err)
	}
}

// warnOfKargs warns of arguments to remove that do not exist, and of a removal after which the
// machine may not find its root.
func (m *Machine) warnOfKargs(now, next kcmdline.Cmdline, remove []string) {
	for _, text := range remove {
		if rest, err := changed(now, nil, []string{text}); err == nil && len(rest) == len(now) {
			m.warn(fmt.Errorf("there is no kernel argument %q", text))
		}
	}
	for _, a := range now {
		if findsRoot(a.Key) && !slices.Contains(next, a) {
			m.warn(fmt.Errorf("the machine may not boot without %s: the initramfs may need it to find the root or to make it writable; if so, choose the previous entry in the boot loader's menu", a))
		}
	}
}

// findsRoot reports whether an argument with a key decides how the initramfs mounts the root.
func findsRoot(key string) bool {
	key = strings.ReplaceAll(key, "-", "_")
	return slices.Contains([]string{"root", "rootflags", "rootfstype", "rw"}, key) || strings.HasPrefix(key, "rd.luks.") || strings.HasPrefix(key, "luks.")
}

// checkStagedKargs returns an error if the staged deployment differs from the current one in what
// is to be changed: a change of the current one alone would not tell.
func (m *Machine) checkStagedKargs(s machine.State, change optionsChange) error {
	record, staged, err := m.stagedWith(s, change)
	if err != nil || record == nil {
		return err
	}
	before, err := entryOf(s, record.ID)
	if err != nil || kcmdline.Parse(boot.WithoutTrial(before.Options)).String() == staged.Options {
		return err
	}
	return fmt.Errorf("only the staged deployment %s would change; reboot into it first", record.ID.Short())
}

// checkKargs refuses what would not have the effect that is wanted.
func (m *Machine) checkKargs(s machine.State, current deployment.ID) error {
	if current != "" && s.Origins[current].BootType == deployment.BootUKI {
		return &SealedKargsError{current}
	}
	return checkSettled(s, current, "change kernel arguments")
}

// checkSettled refuses what would change the boot entry of the current deployment, while it is not
// the one that boots next.
func checkSettled(s machine.State, current deployment.ID, purpose string) error {
	switch {
	case current == "":
		return errors.New("there is no deployment")
	case s.RollbackQueued():
		return fmt.Errorf("a rollback is queued; reboot into it or cancel it before you %s", purpose)
	}
	return nil
}

// entryOf returns the boot entry of a deployment, in the form in which a new one is made.
func entryOf(s machine.State, id deployment.ID) (bootentry.Entry, error) {
	i := slices.IndexFunc(s.Files, func(f boot.EntryFile) bool {
		return f.Target.ID == id && f.Err == nil && f.Entry.IsKernel() && (!f.Staged || s.Staged != nil && serves(f, *s.Staged))
	})
	if i < 0 {
		return bootentry.Entry{}, fmt.Errorf("deployment %s has no boot entry with kernel arguments", id.Short())
	}
	return s.Files[i].Entry, nil
}

// replaceEntries gives the current deployment its new entry, and a staged one likewise. Both
// are there before a record or a loader leads to them, so that nothing that is staged is lost
// on the way. The staged one has the higher serial: once published, it comes first. The
// record of the staged one is returned, nil without one.
func (m *Machine) replaceEntries(
	ctx context.Context, s machine.State, entry bootentry.Entry, change optionsChange,
) (*deployment.Staged, error) {
	record, staged, err := m.stagedWith(s, change)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.clearDiversions()
	name, err := m.Boot.StageEntry(entry)
	if err != nil {
		return nil, err
	}
	if record == nil {
		return nil, m.publishOnly(s.Current(), name)
	}
	if record.Entry, err = m.Boot.StageEntry(staged); err != nil {
		return nil, err
	}
	if err := m.forgetSoftReboot(); err != nil { // it would keep the arguments
		return nil, err
	}
	if err := m.writeRecord(*record); err != nil {
		return nil, err
	}
	if err := m.publishEntry(s.Current(), name); err != nil {
		return nil, err
	}
	return record, m.Boot.KeepStaged(record.Entry)
}

// stagedWith returns the record of a staged deployment other than the current one, and its entry
// with the change; nil if there is none.
func (m *Machine) stagedWith(s machine.State, change optionsChange) (*deployment.Staged, bootentry.Entry, error) {
	record, err := m.staged()
	if err == nil && record == nil && s.Staged != nil {
		err = ErrBootcUpdate
	}
	if err != nil || record == nil || record.ID == s.Current() {
		return nil, bootentry.Entry{}, err
	}
	if record.Published {
		return nil, bootentry.Entry{}, fmt.Errorf("deployment %s is already published; reboot into it first", record.ID.Short())
	}
	entry, err := entryOf(s, record.ID)
	if err != nil {
		return nil, entry, err
	}
	options, err := change(kcmdline.Parse(boot.WithoutTrial(entry.Options)))
	entry.Options = options.String()
	return record, entry, err
}

// changed returns a command line with arguments added, before what is for init, and removed.
func changed(c kcmdline.Cmdline, add, remove []string) (kcmdline.Cmdline, error) {
	next := slices.Clone(c)
	for _, text := range remove {
		args, err := parseKarg(text)
		if err != nil {
			return nil, err
		}
		for _, a := range args {
			next = slices.DeleteFunc(next, func(have kcmdline.Arg) bool {
				return have == a || !a.HasValue && kcmdline.SameKey(have.Key, a.Key)
			})
		}
	}
	for _, text := range add {
		args, err := parseKarg(text)
		if err != nil {
			return nil, err
		}
		for _, a := range args {
			if !slices.Contains(next, a) {
				next = slices.Insert(next, kargs.EndOfKernelArgs(next), a)
			}
		}
	}
	return next, nil
}

// parseKarg reads what somebody wants to add or remove.
func parseKarg(text string) (kcmdline.Cmdline, error) {
	args := kcmdline.Parse(text)
	if len(args) == 0 || strings.ContainsAny(text, "\n\r\x00") {
		return nil, fmt.Errorf("%q is not a kernel argument", text)
	}
	for _, a := range args {
		switch {
		case namesDeployment(a):
			return nil, fmt.Errorf("%s selects the deployment to boot, and cannot be changed", a.Key)
		case a.String() == "--":
			return nil, errors.New("arguments after -- are for init, and cannot be changed")
		}
	}
	return args, nil
}

// only returns the arguments of a that b does not have.
func only(a, b kcmdline.Cmdline) []string {
	list := []string{}
	for _, arg := range a {
		if !slices.Contains(b, arg) {
			list = append(list, arg.String())
		}
	}
	return list
}
