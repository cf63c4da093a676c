// Package modules reads what depmod(8) writes about the modules of a kernel into
// /usr/lib/modules/VERSION: which module drives a device, and which have to be loaded for
// it, in which order. It reads the text form of these files, as modules.dep(5) has it, and
// answers like modprobe(8) without a modprobe.d(5):
//
//	index, err := modules.Read(fsys)
//	for _, name := range index.Lookup("virtio:d00000002v00001AF4") {
//		order, err := index.Order(name)
//		…
//	}
package modules

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// The files of an index.
const (
	depFile     = "modules.dep"
	aliasFile   = "modules.alias"
	softFile    = "modules.softdep"
	weakFile    = "modules.weakdep"
	builtinFile = "modules.builtin"
	modinfoFile = "modules.builtin.modinfo"
)

// An Index is what is known about the modules of a kernel. It does not change: several
// goroutines may use it.
type Index struct {
	missing []string
	deps    map[string]dep // by the names of the modules
	soft    map[string]soft
	weak    map[string][]string
	builtin map[string]string // path by name
	aliases aliases
}

// A dep is a line of modules.dep.
type dep struct {
	path  string
	needs string // the paths of the modules it depends on, the last to be loaded first
}

// A soft is what a module should have loaded before and after it, as names or aliases.
type soft struct{ pre, post []string }

// Read reads the index in fsys, the directory /usr/lib/modules/VERSION. A file that is
// missing is empty: see Missing. So is a line that is not of the file's format, as for
// modprobe(8).
func Read(fsys fs.FS) (*Index, error) {
	x := &Index{
		deps:    make(map[string]dep),
		soft:    make(map[string]soft),
		weak:    make(map[string][]string),
		builtin: make(map[string]string),
	}
	for _, f := range []struct {
		name string
		add  func(text string)
	}{
		{depFile, x.addDeps},
		{aliasFile, x.addAliases},
		{softFile, x.addSoft},
		{weakFile, x.addWeak},
		{builtinFile, x.addBuiltin},
		{modinfoFile, x.addModinfo},
	} {
		data, err := bounded.ReadFile(fsys, f.name, limits.ModuleIndex)
		found, err := bounded.Found(err)
		if err != nil {
			return nil, fmt.Errorf("cannot read the index of kernel modules: %w", err)
		}
		if !found {
			x.missing = append(x.missing, f.name)
		}
		f.add(string(data))
	}
	return x, nil
}

// Missing returns the names of the index files that did not exist. Without modules.dep
// the index has no module, and without modules.alias none for a device.
func (x *Index) Missing() []string { return x.missing }

// Builtin reports whether the module with a name is part of the kernel itself.
func (x *Index) Builtin(name string) bool {
	_, ok := x.builtin[Canonical(name)]
	return ok
}

// Weak returns the names or aliases of modules that the module with a name may ask the
// kernel for while it works. They need not be loaded with it, but have to be there.
func (x *Index) Weak(name string) []string { return x.weak[Canonical(name)] }

// Lookup returns the names of the modules for an alias, such as the MODALIAS of a device,
// or for the name of a module. Those that are part of the kernel are among them; Order is
// empty for these. Like modprobe(8), it looks for an alias only if there is no module with
// that name.
func (x *Index) Lookup(alias string) []string {
	name := Canonical(alias)
	if _, ok := x.deps[name]; ok || x.Builtin(name) {
		return []string{name}
	}
	return x.aliases.lookup(normalize(alias))
}

func (x *Index) addDeps(text string) {
	for line := range strings.Lines(text) {
		if file, needs, ok := strings.Cut(line, ":"); ok {
			x.deps[nameOf(file)] = dep{file, strings.TrimSpace(needs)}
		}
	}
}

func (x *Index) addAliases(text string) {
	x.aliases.grow(strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "alias ")
		pattern, name, both := strings.Cut(rest, " ")
		if name = strings.TrimSpace(name); ok && both && name != "" {
			x.aliases.add(normalize(pattern), Canonical(name))
		}
	}
}

// addSoft reads lines such as "softdep NAME pre: A B post: C". The lines of a module add up.
func (x *Index) addSoft(text string) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "softdep" {
			continue
		}
		name := Canonical(words[1])
		s := x.soft[name]
		var list *[]string
		for _, word := range words[2:] {
			switch {
			case word == "pre:":
				list = &s.pre
			case word == "post:":
				list = &s.post
			case list != nil:
				*list = append(*list, word)
			}
		}
		x.soft[name] = s
	}
}

// addWeak reads lines such as "weakdep NAME A B".
func (x *Index) addWeak(text string) {
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "weakdep" {
			name := Canonical(words[1])
			x.weak[name] = append(x.weak[name], words[2:]...)
		}
	}
}

func (x *Index) addBuiltin(text string) {
	for line := range strings.Lines(text) {
		if file := strings.TrimSpace(line); file != "" {
			x.builtin[nameOf(file)] = file
		}
	}
}

// addModinfo reads the aliases of what is built in: "NAME.KEY=VALUE", each ended by a zero.
func (x *Index) addModinfo(text string) {
	for text != "" {
		var entry string
		entry, text, _ = strings.Cut(text, "\x00")
		name, value, _ := strings.Cut(entry, ".")
		if pattern, ok := strings.CutPrefix(value, "alias="); ok && name != "" {
			x.aliases.add(normalize(pattern), Canonical(name))
		}
	}
}

// nameOf returns the name of the module in a file, such as kernel/fs/ext4/ext4.ko.xz.
func nameOf(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".")
	return Canonical(name)
}

// Canonical returns the form of a module's name in which the kernel shows it: with '_' for
// each '-', which are the same in such names. See modprobe(8).
func Canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }
