package modules

import (
	"slices"
	"strings"
)

// keySize is how much of a pattern's literal beginning finds it. It tells PCI devices
// apart: of the 20,000 patterns of a distribution's kernel, few are compared with an alias.
const keySize = len("pci:v00008086d00000953")

// aliases are patterns with the modules they stand for, in the order of the files. Those
// with the same key form a chain.
type aliases struct {
	patterns []pattern
	last     map[string]int // by key, the end of a chain
}

type pattern struct {
	glob, module string
	before       int // the one before in the chain, -1 if none
}

// grow makes room for n more patterns.
func (a *aliases) grow(n int) {
	a.patterns = slices.Grow(a.patterns, n)
	if a.last == nil {
		a.last = make(map[string]int, n/2)
	}
}

func (a *aliases) add(glob, module string) {
	key := keyOf(glob)
	before, ok := a.last[key]
	if !ok {
		before = -1
	}
	a.last[key] = len(a.patterns)
	a.patterns = append(a.patterns, pattern{glob, module, before})
}

// keyOf returns the characters at the beginning of a pattern that stand for themselves, up
// to keySize of them.
func keyOf(glob string) string {
	for i := range min(len(glob), keySize) {
		if strings.IndexByte(special, glob[i]) >= 0 {
			return glob[:i]
		}
	}
	return glob[:min(len(glob), keySize)]
}

// lookup returns the modules whose patterns match an alias, each once, in the order of the
// patterns: depmod(8) writes preferred modules first.
func (a *aliases) lookup(alias string) []string {
	var matching []int
	for n := range min(len(alias), keySize) + 1 {
		i, ok := a.last[alias[:n]]
		for ; ok && i >= 0; i = a.patterns[i].before {
			if match(a.patterns[i].glob, alias) {
				matching = append(matching, i)
			}
		}
	}
	slices.Sort(matching)
	var names []string
	for _, i := range matching {
		if name := a.patterns[i].module; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// normalize returns an alias or a pattern in which '-' and '_' are the same, but for the
// ranges between brackets.
func normalize(alias string) string {
	if strings.IndexByte(alias, '-') < 0 {
		return alias
	}
	bytes, bracketed := []byte(alias), false
	for i, c := range bytes {
		switch {
		case c == '[':
			bracketed = true
		case c == ']':
			bracketed = false
		case c == '-' && !bracketed:
			bytes[i] = '_'
		}
	}
	return string(bytes)
}
