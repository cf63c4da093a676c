package modules

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A Module is a module to load.
type Module struct {
	Name string
	Path string // relative to the directory of the index
	// Required reports whether the modules after it cannot do without it. A soft dependency
	// may fail to load: a cipher may need another processor.
	Required bool
}

// Order returns what has to be loaded for the module with a name, in this order: the
// modules it depends on, its soft dependencies that come before it, itself, and those that
// come after it. Dependencies have soft dependencies too. It is empty for a module that is
// part of the kernel; a module that is not in the index is an error. Soft dependencies that
// nothing provides, or that depend on each other, do no harm.
func (x *Index) Order(name string) ([]Module, error) {
	name = Canonical(name)
	if _, ok := x.deps[name]; !ok {
		if x.Builtin(name) {
			return nil, nil
		}
		return nil, fmt.Errorf("cannot load module %s: it is not in %s", name, depFile)
	}
	w := walk{index: x, seen: make(map[string]bool), at: make(map[string]int)}
	w.module(name, true)
	for _, m := range w.order {
		if !fs.ValidPath(m.Path) {
			return nil, fmt.Errorf("cannot load module %s: %s has the invalid path %q", name, depFile, m.Path)
		}
	}
	return w.order, nil
}

// A walk collects the modules to load.
type walk struct {
	index *Index
	seen  map[string]bool // modules whose dependencies are or will be in order
	order []Module
	at    map[string]int // where modules are in order
}

// module adds a module and all that belongs to it.
func (w *walk) module(name string, required bool) {
	d, ok := w.index.deps[name]
	if !ok || w.seen[name] {
		return
	}
	w.seen[name] = true
	for _, file := range slices.Backward(strings.Fields(d.needs)) {
		w.between(Module{nameOf(file), file, required})
	}
	w.between(Module{name, d.path, required})
}

// between adds a module between its soft dependencies.
func (w *walk) between(m Module) {
	s := w.index.soft[m.Name]
	w.all(s.pre)
	if i, ok := w.at[m.Name]; ok {
		w.order[i].Required = w.order[i].Required || m.Required
	} else {
		w.at[m.Name] = len(w.order)
		w.order = append(w.order, m)
	}
	w.all(s.post)
}

// all adds the modules for soft dependencies.
func (w *walk) all(aliases []string) {
	for _, alias := range aliases {
		for _, name := range w.index.Lookup(alias) {
			w.module(name, false)
		}
	}
}
