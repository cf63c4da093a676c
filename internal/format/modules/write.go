package modules

import (
	"maps"
	"slices"
	"strings"
)

// Write returns the files of an index that has only the modules with these names, and all
// of what is built in. rename returns what the file of a module is called there.
func (x *Index) Write(names []string, rename func(path string) string) map[string][]byte {
	chosen := make(map[string]bool, len(names))
	for _, name := range names {
		chosen[Canonical(name)] = true
	}
	return map[string][]byte{
		depFile:     x.writeDeps(chosen, rename),
		aliasFile:   x.writeAliases(chosen),
		softFile:    x.writeSoft(chosen),
		builtinFile: x.writeBuiltin(),
	}
}

func (x *Index) writeDeps(chosen map[string]bool, rename func(string) string) []byte {
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		d, ok := x.deps[name]
		if !ok {
			continue
		}
		out = append(append(out, rename(d.path)...), ':')
		for file := range strings.FieldsSeq(d.needs) {
			out = append(append(out, ' '), rename(file)...)
		}
		out = append(out, '\n')
	}
	return out
}

func (x *Index) writeAliases(chosen map[string]bool) []byte {
	var out []byte
	for _, p := range x.aliases.patterns {
		if chosen[p.module] {
			out = append(out, "alias "+p.glob+" "+p.module+"\n"...)
		}
	}
	return out
}

func (x *Index) writeSoft(chosen map[string]bool) []byte {
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		s := x.soft[name]
		if len(s.pre)+len(s.post) == 0 {
			continue
		}
		out = append(out, "softdep "+name...)
		for _, list := range []struct {
			word    string
			aliases []string
		}{{" pre:", s.pre}, {" post:", s.post}} {
			if len(list.aliases) > 0 {
				out = append(out, list.word+" "+strings.Join(list.aliases, " ")...)
			}
		}
		out = append(out, '\n')
	}
	return out
}

func (x *Index) writeBuiltin() []byte {
	var out []byte
	for _, file := range slices.Sorted(maps.Values(x.builtin)) {
		out = append(out, file+"\n"...)
	}
	return out
}
