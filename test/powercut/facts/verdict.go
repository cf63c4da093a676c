package facts

import (
	"fmt"
	"slices"
)

// A Judge knows the markers of a recording, in the order of the log.
type Judge struct{ Markers []Marker }

// Judge says what is wrong with what was found when the power failed after the
// marker with the index at, -1 for none: an empty list if nothing is.
func (j Judge) Judge(at int, esp *ESPFacts, root *RootFacts) (wrong []string) {
	if at < 0 {
		return nil
	}
	v := verdict{judge: j, at: at, now: j.Markers[at], esp: esp, root: root}
	// FAT may lose a directory that is just being made. Before the first
	// deployment there is nothing in it.
	if esp.Error != "" && !slices.Contains(v.now.Next, None) {
		v.add("boot partition: %s", esp.Error)
	}
	if root.Error != "" {
		v.add("root file system: %s", root.Error)
	}
	if len(v.wrong) > 0 {
		return v.wrong
	}
	if v.esp.Loader != "" && !slices.Contains(v.now.Next, None) { // it is installed last
		v.add("boot loader: %s", v.esp.Loader)
	}
	if v.esp.Listing != "" && !slices.Contains(v.now.Next, None) {
		v.add("boot partition, after fsck: %s", v.esp.Listing)
	}
	v.entries()
	v.recorded()
	v.next()
	v.staged()
	v.local()
	v.attempts()
	v.repository()
	return v.wrong
}

type verdict struct {
	judge Judge
	at    int
	now   Marker
	esp   *ESPFacts
	root  *RootFacts
	wrong []string
}

func (v *verdict) add(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// listed returns the entries that a loader shows.
func (v *verdict) listed() (all []Entry) {
	for _, e := range v.esp.Entries {
		if !e.Staged && e.Error == "" {
			all = append(all, e)
		}
	}
	return all
}

// entries wants every entry that a loader shows to boot a deployment that is
// whole.
func (v *verdict) entries() {
	for _, e := range v.listed() {
		if problem := v.broken(e); problem != "" {
			v.add("entry %s: %s", e.File, problem)
		}
	}
}

// recorded wants every entry that boots something, staged or not, to be recorded as the
// machine's own: otherwise it would be taken for another system's, and stay for ever.
func (v *verdict) recorded() {
	for _, e := range v.esp.Entries {
		if e.Error == "" && !slices.Contains(v.root.Recorded, e.Base) {
			v.add("entry %s is not recorded", e.File)
		}
	}
}

// broken says why an entry does not boot, "" if it does.
func (v *verdict) broken(e Entry) string {
	if e.ID == "" {
		return "boots no deployment"
	}
	if e.Kernel != "" {
		return e.Kernel
	}
	d, ok := v.root.Deployments[e.ID]
	switch {
	case !ok:
		return "there is nothing of deployment " + short(e.ID)
	case d.Image != "":
		return "deployment " + short(e.ID) + ": " + d.Image
	case d.State != "":
		return "deployment " + short(e.ID) + ": " + d.State
	}
	return ""
}

func (v *verdict) next() {
	listed := v.listed()
	next := None
	if len(listed) > 0 {
		next = listed[0].ID
	}
	if !slices.Contains(v.now.Next, next) && (next == None || !slices.Contains(v.now.Next, Any)) {
		v.add("the next to boot is %q; want one of %q", short(next), shorts(v.now.Next))
	}
	for _, id := range v.now.Listed {
		if !slices.ContainsFunc(listed, func(e Entry) bool { return e.ID == id }) {
			v.add("deployment %s is not listed by the loader", short(id))
		}
	}
	if next != None {
		v.etc(next)
	}
}

// etc wants the local changes to /etc of what boots next to be complete.
func (v *verdict) etc(id string) {
	want := v.etcOf(id)
	if got := v.root.Deployments[id].Etc; want != nil && !slices.Contains(want, got) {
		v.add("/etc of deployment %s, which boots next, has digest %s; want one of %q (files: %q)", short(id), got, want, v.root.Deployments[id].Files)
	}
}

// etcOf returns the digests that the local changes to /etc of a deployment may
// have, nil for any: those of this moment, or if it had none yet or they are about
// to change, of the next marker that knows any.
func (v *verdict) etcOf(id string) []string {
	if v.now.Editing {
		return nil
	}
	want, known := v.now.Etc[id]
	if known && !v.now.Moving {
		return want
	}
	for _, m := range v.judge.Markers[v.at+1:] {
		if next, ok := m.Etc[id]; ok {
			return slices.Concat(want, next)
		}
	}
	return want
}

// staged wants a record that finalize can carry out.
func (v *verdict) staged() {
	r := v.root.Staged
	switch {
	case r == nil:
		if v.now.Staged != "" {
			v.add("the staged record of %s is lost", short(v.now.Staged))
		}
		return
	case r.Error != "":
		v.add("staged record: %s", r.Error)
		return
	case v.now.Staged != "" && r.ID != v.now.Staged:
		v.add("deployment %s is staged; want %s", short(r.ID), short(v.now.Staged))
	}
	i := slices.IndexFunc(v.esp.Entries, func(e Entry) bool {
		return e.ID == r.ID && (e.File == r.Entry+".staged" || !e.Staged)
	})
	if i < 0 {
		v.add("the staged record names entry %s, which is neither staged nor published", r.Entry)
		return
	}
	e := v.esp.Entries[i]
	if problem := v.broken(e); problem != "" {
		v.add("staged entry %s: %s", e.File, problem)
	}
	if e.Error != "" {
		v.add("staged entry %s: %s", e.File, e.Error)
	}
}

// local wants what users have synced.
func (v *verdict) local() {
	if v.root.Var < v.now.Var {
		v.add("%d lines below /var; %d had been synced", v.root.Var, v.now.Var)
	}
	for path, want := range v.now.Files {
		id, name := path[:128], path[128:]
		if got := v.root.Deployments[id].Files[name]; got != want {
			v.add("/etc%s of deployment %s has digest %q; %s had been synced", name, short(id), got, want)
		}
	}
}

// attempts wants the initramfs to count the boots of what is on trial, with something whole to
// fall back to, as soon as a loader lists it; and never those of what has proved itself.
func (v *verdict) attempts() {
	for _, e := range v.listed() {
		d := v.root.Deployments[e.ID]
		if d.Damaged != "" {
			v.add("deployment %s: %s", short(e.ID), d.Damaged)
		}
		if want, known := v.now.Attempts[e.ID]; known && !slices.Contains(want, d.Attempts) {
			v.add("the initramfs counts %q for deployment %s; want one of %q", d.Attempts, short(e.ID), want)
		}
		if d.Fallback == "" || d.Attempts == NoTrial {
			continue
		}
		if problem := v.broken(Entry{ID: d.Fallback}); problem != "" {
			v.add("deployment %s has nothing to fall back to: %s", short(e.ID), problem)
		}
	}
}

func (v *verdict) repository() {
	for _, p := range v.root.Problems {
		v.add("repository: %s", p)
	}
	for _, id := range v.now.Images {
		if !slices.Contains(v.root.Tagged, id) {
			v.add("repository: no tag leads to the image of deployment %s", short(id))
		}
	}
}

func short(id string) string { return id[:min(12, len(id))] }

func shorts(ids []string) (all []string) {
	for _, id := range ids {
		all = append(all, short(id))
	}
	return all
}
