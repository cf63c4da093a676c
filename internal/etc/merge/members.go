package merge

import (
	"slices"
	"strings"
)

// mergeMembers merges a record that both sides have changed and some of whose
// fields are lists of users, such as the members of a group: who was added or
// removed on either side is so in the outcome. The other fields are one value,
// and that of local counts if it was changed there. ok is false for what is no
// such record; base may be missing.
func mergeMembers(base, local, next []string, lists []int) (lines []string, ok bool) {
	if len(lists) == 0 || len(local) != 1 || len(next) != 1 || len(base) > 1 {
		return nil, false
	}
	l, n := fields(local[0]), fields(next[0])
	b := make([]string, len(l))
	if len(base) == 1 {
		b = fields(base[0])
	}
	if len(l) != len(n) || len(b) != len(l) || slices.Max(lists) >= len(l) {
		return nil, false
	}
	out := l
	if slices.Equal(without(b, lists), without(l, lists)) {
		out = n
	}
	out = slices.Clone(out)
	for _, i := range lists {
		out[i] = strings.Join(mergeList(members(b[i]), members(l[i]), members(n[i])), ",")
	}
	return []string{strings.Join(out, ":") + "\n"}, true
}

func fields(line string) []string { return strings.Split(strings.TrimSuffix(line, "\n"), ":") }

// without returns the fields but those with the given numbers.
func without(fields []string, numbers []int) []string {
	var out []string
	for i, f := range fields {
		if !slices.Contains(numbers, i) {
			out = append(out, f)
		}
	}
	return out
}

// members returns the names in a list, each once.
func members(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// mergeList merges lists without order: first come those of local, then those
// that next has added.
func mergeList(base, local, next []string) []string {
	var out []string
	for _, name := range local {
		removed := slices.Contains(base, name) && !slices.Contains(next, name)
		if !removed {
			out = append(out, name)
		}
	}
	for _, name := range next {
		if !slices.Contains(base, name) && !slices.Contains(local, name) {
			out = append(out, name)
		}
	}
	return out
}
