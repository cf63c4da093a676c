package bootentry

import (
	"cmp"
	"slices"
	"strings"
)

// A File is a boot entry with its name.
type File struct {
	Name  Name
	Entry Entry
}

// Compare orders boot entries as systemd-boot does: negative if a is above b
// in the menu. What is above all others is booted, unless the loader was told
// otherwise.
func Compare(a, b File) int {
	byBool := func(a, b bool) int { // false first
		switch {
		case a == b:
			return 0
		case a:
			return 1
		}
		return -1
	}
	if c := byBool(a.Name.Exhausted(), b.Name.Exhausted()); c != 0 {
		return c
	}
	if c := byBool(a.Entry.SortKey == "", b.Entry.SortKey == ""); c != 0 {
		return c
	}
	if a.Entry.SortKey != "" {
		c := cmp.Or(
			strings.Compare(a.Entry.SortKey, b.Entry.SortKey),
			strings.Compare(a.Entry.MachineID, b.Entry.MachineID),
			CompareVersions(b.Entry.Version, a.Entry.Version))
		if c != 0 {
			return c
		}
	}
	if c := CompareVersions(b.Name.ID(), a.Name.ID()); c != 0 {
		return c
	}
	if !a.Name.Counted || !b.Name.Counted {
		return 0
	}
	return cmp.Or(cmp.Compare(b.Name.TriesLeft, a.Name.TriesLeft), cmp.Compare(a.Name.TriesDone, b.Name.TriesDone))
}

// Sort puts boot entries in the order of Compare.
func Sort(files []File) { slices.SortStableFunc(files, Compare) }

// CompareVersions orders versions by the Version Format Specification of the
// UAPI group, as systemd's strverscmp_improved does: negative if a is older
// than b, 0 if neither is newer, positive if a is newer.
func CompareVersions(a, b string) int {
	for {
		a, b = strings.TrimLeftFunc(a, separates), strings.TrimLeftFunc(b, separates)
		if c := cutMark(&a, &b, '~'); c != 0 {
			return c
		}
		if a == "" || b == "" {
			return min(len(a), 1) - min(len(b), 1) // what goes on is newer
		}
		for _, mark := range []byte("-^.") {
			if c := cutMark(&a, &b, mark); c != 0 {
				return c
			}
		}
		if c := compareSegment(&a, &b); c != 0 {
			return c
		}
	}
}

// separates reports whether r is none of the characters that versions are made of.
func separates(r rune) bool {
	return !(r < 0x80 && (isDigit(byte(r)) || isAlpha(byte(r)) || strings.ContainsRune("~-^.", r)))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// cutMark takes the mark off both versions. If only one has it, that one is
// the older.
func cutMark(a, b *string, mark byte) int {
	inA := *a != "" && (*a)[0] == mark
	inB := *b != "" && (*b)[0] == mark
	switch {
	case inA && inB:
		*a, *b = (*a)[1:], (*b)[1:]
		return 0
	case inA:
		return -1
	case inB:
		return 1
	}
	return 0
}

// compareSegment takes the next number or word off both versions and compares
// these: a number is newer than a word, a longer word than its beginning.
func compareSegment(a, b *string) int {
	numA, numB := cutRun(a, isDigit), cutRun(b, isDigit)
	if numA == "" && numB == "" {
		return strings.Compare(cutRun(a, isAlpha), cutRun(b, isAlpha))
	}
	if numA == "" || numB == "" {
		return len(numA) - len(numB)
	}
	numA, numB = strings.TrimLeft(numA, "0"), strings.TrimLeft(numB, "0")
	return cmp.Or(cmp.Compare(len(numA), len(numB)), strings.Compare(numA, numB))
}

// cutRun takes the leading bytes of a kind off s and returns them.
func cutRun(s *string, kind func(byte) bool) string {
	i := 0
	for i < len(*s) && kind((*s)[i]) {
		i++
	}
	run := (*s)[:i]
	*s = (*s)[i:]
	return run
}
