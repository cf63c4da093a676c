package bootentry

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Suffix is how the names of boot entries end; a loader reads no others.
const Suffix = ".conf"

// A Name is the file name of a boot entry, taken apart as in systemd's
// "Automatic Boot Assessment": BASE.conf is an entry that is good, or that
// nobody assesses, BASE+LEFT-DONE.conf one that is on trial.
type Name struct {
	Base      string // without tries and suffix
	Counted   bool   // on trial: the loader counts its boots
	TriesLeft uint   // boots until the loader avoids the entry
	TriesDone uint   // boots that did not prove it good
}

// ParseName takes the file name of a boot entry apart. The error says why a
// loader does not read a file of that name.
func ParseName(file string) (Name, error) {
	stem := len(file) - len(Suffix)
	switch {
	case stem <= 0 || !strings.EqualFold(file[stem:], Suffix):
		return Name{}, fmt.Errorf("file name %q does not end in %s", file, Suffix)
	case file[0] == '.':
		return Name{}, fmt.Errorf("file name %q begins with a dot", file)
	case strings.ContainsAny(file, "/\x00"):
		return Name{}, fmt.Errorf("file name %q is a path", file)
	}
	n := Name{Base: file[:stem]}
	if i := strings.LastIndexByte(n.Base, '+'); i > 0 {
		n.parseTries(n.Base[:i], n.Base[i+1:])
	}
	return n, nil
}

// parseTries reads LEFT or LEFT-DONE. Anything else belongs to the base.
func (n *Name) parseTries(base, tries string) {
	left, done, ok := strings.Cut(tries, "-")
	if !ok {
		done = "0"
	}
	l, errLeft := parseCount(left)
	d, errDone := parseCount(done)
	if errLeft == nil && errDone == nil {
		*n = Name{Base: base, Counted: true, TriesLeft: l, TriesDone: d}
	}
}

func parseCount(s string) (uint, error) {
	v, err := strconv.ParseUint(s, 10, 31)
	if v > math.MaxInt32 {
		return 0, strconv.ErrRange
	}
	return uint(v), err
}

// String returns the file name. Both counts are written, since the loader
// writes both: so the name keeps its length from one boot to the next, and takes as
// many slots of a FAT directory.
func (n Name) String() string {
	if !n.Counted {
		return n.Base + Suffix
	}
	return fmt.Sprintf("%s+%d-%d%s", n.Base, n.TriesLeft, n.TriesDone, Suffix)
}

// Exhausted reports whether the loader avoids the entry because it used up its
// tries.
func (n Name) Exhausted() bool { return n.Counted && n.TriesLeft == 0 }

// ID returns the name by which the loader's settings (loader.conf(5)) and EFI
// variables speak of the entry: in lower case, without the tries.
func (n Name) ID() string { return strings.ToLower(n.Base) + Suffix }

// OurPrefix is how the names begin of the entries that this program writes.
const OurPrefix = "sysupdate-image"

// Ours takes the name of one of our entries apart: OurPrefix-SERIAL-ID, and a tag after
// another dash on a partition that is shared. id is the beginning of the deployment's.
func (n Name) Ours() (serial int, id string, ours bool) {
	rest, ok := strings.CutPrefix(n.Base, OurPrefix+"-")
	digits, rest, found := strings.Cut(rest, "-")
	if !ok || !found {
		return 0, "", false
	}
	id, _, _ = strings.Cut(rest, "-")
	serial, err := strconv.Atoi(digits)
	return serial, id, err == nil && serial >= 0
}

// MayBoot reports whether the entry can be that of a deployment, by the name.
func (n Name) MayBoot(deployment string) bool {
	n.Base = strings.ToLower(n.Base) // as firmware may spell it otherwise
	_, id, ours := n.Ours()
	return !ours || id != "" && strings.HasPrefix(deployment, id)
}
