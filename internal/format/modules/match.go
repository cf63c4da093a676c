package modules

import "strings"

// special are the characters that do not stand for themselves in a pattern.
const special = `*?[\`

// match reports whether a text matches a pattern as for fnmatch(3) without flags: '*' and
// '?' match a slash and a leading period too. A bracket that is never closed stands for
// itself.
func match(glob, text string) bool {
	// Where to go on after the last '*': it takes one more character each time.
	rest, from := "", -1
	for i := 0; ; {
		if glob != "" && glob[0] == '*' {
			if glob = strings.TrimLeft(glob, "*"); glob == "" {
				return true
			}
			rest, from = glob, i
			continue
		}
		if i == len(text) {
			return glob == ""
		}
		if n := matchOne(glob, text[i]); n > 0 {
			glob, i = glob[n:], i+1
			continue
		}
		if from < 0 {
			return false
		}
		from++
		glob, i = rest, from
	}
}

// matchOne matches a character with the beginning of a pattern. It returns how much of the
// pattern that takes, 0 if it does not match.
func matchOne(glob string, c byte) int {
	if glob == "" {
		return 0
	}
	size, ok := 1, glob[0] == c
	switch glob[0] {
	case '?':
		ok = true
	case '[':
		if end := bracketEnd(glob); end > 0 {
			size, ok = end+1, inSet(glob[1:end], c)
		}
	case '\\':
		if len(glob) > 1 {
			size, ok = 2, glob[1] == c
		}
	}
	if !ok {
		return 0
	}
	return size
}

// bracketEnd returns where the bracket ends with which a pattern begins, 0 if it does not.
// A ']' that comes first is in the set.
func bracketEnd(glob string) int {
	first := 1
	if len(glob) > 1 && (glob[1] == '!' || glob[1] == '^') {
		first = 2
	}
	if len(glob) <= first {
		return 0
	}
	if i := strings.IndexByte(glob[first+1:], ']'); i >= 0 {
		return first + 1 + i
	}
	return 0
}

// inSet reports whether a character is in a set such as "0-9a-f", or not in "!0-9".
func inSet(set string, c byte) bool {
	not := set[0] == '!' || set[0] == '^'
	if not {
		set = set[1:]
	}
	in := false
	for set != "" {
		low, high, size := set[0], set[0], 1
		if len(set) > 2 && set[1] == '-' {
			high, size = set[2], 3
		}
		in = in || low <= c && c <= high
		set = set[size:]
	}
	return in != not
}
