package update

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// An inventory is what decides which deployments stay.
type inventory struct {
	files  []boot.EntryFile // in the loader's order
	booted deployment.ID    // "" unless the machine runs
	staged deployment.ID    // "" if nothing is staged
	entry  string           // name that finalize gives the staged boot entry
	pinned map[deployment.ID]string
	states []deployment.ID // that have a state directory
	// broken are deployments that could not boot, whatever their entries say:
	// their image is missing.
	broken map[deployment.ID]bool
	spare  int // how many stay that are not needed
}

// inventory finds out what there is.
func (m *Machine) inventory() (inventory, error) {
	files, err := m.entries()
	if err != nil {
		return inventory{}, err
	}
	v := inventory{files: files, booted: m.booted, broken: make(map[deployment.ID]bool)}
	record, err := m.staged()
	if err != nil {
		return inventory{}, err
	}
	if record != nil {
		v.staged, v.entry = record.ID, record.Entry
	}
	if v.pinned, err = deployment.Pins(m.root.FS()); err != nil {
		return inventory{}, err
	}
	if v.states, err = m.states(); err != nil {
		return inventory{}, err
	}
	for _, id := range v.known() {
		v.broken[id] = m.repo != nil && !m.repo.HasImage(string(id))
	}
	return v, nil
}

// states returns the deployments that have a state directory.
func (m *Machine) states() ([]deployment.ID, error) {
	list, err := fs.ReadDir(m.root.FS(), deployment.DeployDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []deployment.ID
	for _, d := range list {
		if id, err := deployment.ParseID(d.Name()); err == nil { // what is not ours stays
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// known returns all deployments: those with boot entries in the loader's order,
// and those of which there is something else.
func (v inventory) known() []deployment.ID {
	var ids idList
	for _, f := range v.files {
		ids.add(f.Target.ID)
	}
	ids.add(v.booted, v.staged)
	ids.add(v.states...)
	ids.add(slices.Sorted(maps.Keys(v.pinned))...)
	return ids
}

// next returns the deployment that the loader boots next, "" if there is none.
func (v inventory) next() deployment.ID {
	f, _ := firstDeployment(v.files)
	return f.Target.ID
}

// proven returns the deployments that the loader boots without counting, in its
// order.
func (v inventory) proven() []deployment.ID {
	return v.having(boot.EntryFile.Good)
}

// having returns the deployments that are not broken and have an entry that is
// as asked, in the loader's order.
func (v inventory) having(suits func(boot.EntryFile) bool) []deployment.ID {
	var ids idList
	for _, f := range v.files {
		if suits(f) && !v.broken[f.Target.ID] {
			ids.add(f.Target.ID)
		}
	}
	return ids
}

// base returns the deployment that was the last to prove itself, which the
// loader falls back to: the booted one, or else the first that is proven.
func (v inventory) base() deployment.ID {
	proven := v.proven()
	if len(proven) == 0 || slices.Contains(proven, v.booted) {
		return v.booted
	}
	return proven[0]
}

// rollback returns the deployment that the base has superseded, "" if there is
// none. It is the first that is proven, besides the base and what is about to
// take its place. Where none is, the first that has boots left will do.
func (v inventory) rollback() deployment.ID {
	besides := []deployment.ID{v.booted, v.staged, v.next(), v.base()}
	hasBoots := func(f boot.EntryFile) bool { return f.Bootable() && f.IsDeployment() && !f.Name.Exhausted() }
	for _, id := range append(v.proven(), v.having(hasBoots)...) {
		if !slices.Contains(besides, id) {
			return id
		}
	}
	return ""
}

// needed returns the deployments that nothing but a command removes: the booted
// one, the staged one, the next, those that are pinned, and these two:
//
//   - the base, so that a deployment on trial has something to fall back to;
//   - the rollback of the base. What is staged, next or on trial has superseded
//     nothing yet: if it fails, the machine is as before, with a rollback.
//
// Without any of these it returns none: then nothing is known to be good enough
// that anything could be removed.
func (v inventory) needed() []deployment.ID {
	var ids idList
	ids.add(v.booted, v.staged, v.next(), v.base(), v.rollback())
	ids.add(slices.Sorted(maps.Keys(v.pinned))...)
	return ids
}

// kept returns the deployments that stay as long as there is room: those that
// are needed, so many spare ones, the first first, and the one that failed last
// unless another is staged since, so that status tells why it failed.
func (v inventory) kept() []deployment.ID {
	ids := idList(v.needed())
	if len(ids) == 0 {
		return nil
	}
	ids.add(v.failed())
	spare := v.having(func(f boot.EntryFile) bool { return f.Bootable() && f.IsDeployment() && !f.Name.Exhausted() })
	for n, i := v.spare, 0; n > 0 && i < len(spare); i++ {
		if !slices.Contains(ids, spare[i]) {
			ids.add(spare[i])
			n--
		}
	}
	return ids
}

// failed returns the deployment that used up its boots last, "" if there is none
// or another is staged.
func (v inventory) failed() deployment.ID {
	if v.staged != "" {
		return ""
	}
	failed := v.having(func(f boot.EntryFile) bool { return f.Bootable() && f.IsDeployment() && f.Name.Exhausted() })
	if len(failed) == 0 {
		return ""
	}
	return failed[0]
}

// superseded returns the deployments with a boot entry that are not needed, in
// the order in which they make room: those that would go anyway, then the spare
// ones, of each the last in the loader's order first.
func (v inventory) superseded() []deployment.ID {
	needed, kept := v.needed(), v.kept()
	var gone, spare idList
	for _, f := range slices.Backward(v.files) {
		switch id := f.Target.ID; {
		case len(needed) == 0 || slices.Contains(needed, id):
		case slices.Contains(kept, id):
			spare.add(id)
		default:
			gone.add(id)
		}
	}
	gone.add(spare...)
	return gone
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
