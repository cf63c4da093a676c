package lint

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// What may be wrong with any file.

func checkUTF8(_ context.Context, t *target) error {
	t.Root.Walk(func(p string, n *tree.Node) {
		if name := path.Base(p); !utf8.ValidString(name) {
			t.find(p, "a name that is not UTF-8")
		}
		if !utf8.ValidString(n.Target) {
			t.find(p, fmt.Sprintf("a symbolic link to %q, which is not UTF-8", n.Target))
		}
	})
	return nil
}

// ahead is how much the clocks of builders may differ.
const ahead = time.Hour

func checkFuture(_ context.Context, t *target) error {
	limit := t.Now.Add(ahead)
	t.Root.Walk(func(p string, n *tree.Node) {
		if n.Mtime.Sec > limit.Unix() {
			t.find(p, "modified on "+time.Unix(n.Mtime.Sec, 0).UTC().Format("2006-01-02"))
		}
	})
	return nil
}

// checkSetuid finds programs with the rights of another user whose directory an ordinary
// user can change.
func checkSetuid(_ context.Context, t *target) error {
	t.setuidBelow("/", t.Root, nil)
	return nil
}

// An opening is a directory that another user than root can change.
type opening struct {
	owner uint32 // 0 if others than its owner can change it
	text  string
}

// setuidBelow looks at the entries of a directory. Those of open are the openings above.
func (t *target) setuidBelow(dir string, n *tree.Node, open []opening) {
	if text, owner := whoWrites(dir, n); text != "" {
		open = append(open[:len(open):len(open)], opening{owner, text})
	}
	for _, e := range n.Entries() {
		p := path.Join(dir, e.Name)
		if e.Node.IsDir() {
			t.setuidBelow(p, e.Node, open)
		} else if isSetuid(e.Node) {
			t.findSetuid(p, e.Node, open)
		}
	}
}

// findSetuid adds a finding for a program, unless all who can replace it are its owner, who
// can change it anyway.
func (t *target) findSetuid(p string, n *tree.Node, open []opening) {
	for _, o := range open {
		if o.owner != 0 && o.owner == n.UID {
			continue
		}
		f := Finding{Path: p, What: fmt.Sprintf("a program with the rights of %s in a directory that others can change: %s", rightsOf(n), o.text)}
		if belowUsr(p) {
			f.Mend = "Have root alone own the directory and write to it."
		}
		t.add(f)
		return
	}
}

// whoWrites says who but root can change a directory, "" if nobody; owner is who owns it, if
// nobody else can. A sticky one lets users add names, but not replace those of others.
func whoWrites(dir string, n *tree.Node) (text string, owner uint32) {
	const sticky, all, group = 0o1000, 0o002, 0o020
	isSticky := n.Mode&sticky != 0
	switch {
	case !isSticky && n.Mode&all != 0:
		return "everybody may write to " + dir, 0
	case !isSticky && n.Mode&group != 0 && n.GID != 0:
		return fmt.Sprintf("group %d may write to %s", n.GID, dir), 0
	case n.UID != 0:
		return fmt.Sprintf("user %d owns %s", n.UID, dir), n.UID
	}
	return "", 0
}

// Bits of a mode, see inode(7).
const (
	setuid       = 0o4000
	setgid       = 0o2000
	groupExecute = 0o010
)

func isSetuid(n *tree.Node) bool {
	return n.IsRegular() && (n.Mode&setuid != 0 || n.Mode&setgid != 0 && n.Mode&groupExecute != 0)
}

func rightsOf(n *tree.Node) string {
	if n.Mode&setuid != 0 {
		return fmt.Sprintf("user %d", n.UID)
	}
	return fmt.Sprintf("group %d", n.GID)
}

// checkFAT finds names that the boot partition cannot hold: those that come there with a
// unified kernel image keep their names.
func checkFAT(_ context.Context, t *target) error {
	if err := t.checkDeviceTree(); err != nil {
		return err
	}
	for _, dir := range []string{"boot/EFI", "usr/lib/modules"} {
		t.below(dir, func(name string, _ *tree.Node) {
			base := path.Base(name)
			extras := strings.HasSuffix(path.Dir(name), ".efi"+bootentry.ExtrasOf("")) && bootentry.IsExtra(base)
			if !extras && dir != "boot/EFI" {
				return
			}
			if why := whyNotFAT(base); why != "" {
				t.find("/"+name, why)
			}
		})
	}
	t.below("boot", func(name string, n *tree.Node) {
		if name == "boot/EFI" || strings.HasPrefix(name, "boot/EFI/") {
			t.caseTwins(name, n)
		}
	})
	t.below("usr/lib/modules", func(name string, n *tree.Node) {
		if strings.HasSuffix(name, ".efi"+bootentry.ExtrasOf("")) {
			t.caseTwins(name, n)
		}
	})
	return nil
}

// deviceTreeNames are files with the name of the device tree that goes to the boot partition.
var deviceTreeNames = []string{"etc/kernel/devicetree", "usr/lib/kernel/devicetree"}

func (t *target) checkDeviceTree() error {
	for _, name := range deviceTreeNames {
		text, _, err := t.files.text(name, limits.Text)
		if err != nil {
			return err
		}
		for part := range strings.SplitSeq(strings.TrimSpace(text), "/") {
			if why := whyNotFAT(part); why != "" {
				t.find("/"+name, fmt.Sprintf("%q: %s", part, why))
			}
		}
	}
	return nil
}

// caseTwins finds names in a directory that FAT takes for the same.
func (t *target) caseTwins(name string, n *tree.Node) {
	first := make(map[string]string)
	for _, e := range n.Entries() {
		folded := strings.ToUpper(e.Name)
		if other := first[folded]; other != "" {
			t.find("/"+path.Join(name, e.Name), fmt.Sprintf("FAT takes it for %s beside it", other))
		}
		first[folded] = e.Name
	}
}

// maxFAT is the length of a long name, in units of UTF-16.
const maxFAT = 255

// whyNotFAT says what keeps FAT from having a name, "" if nothing does.
func whyNotFAT(name string) string {
	for _, r := range name {
		if r < ' ' || r == 0x7f || strings.ContainsRune(`"*/:<>?\|`, r) {
			return fmt.Sprintf("FAT has no names with %q", r)
		}
	}
	switch {
	case !utf8.ValidString(name):
		return "FAT has names in UTF-16, and this is not UTF-8"
	case strings.TrimRight(name, ". ") != name:
		return "FAT has no names with a period or a space at the end"
	case len(utf16.Encode([]rune(name))) > maxFAT:
		return fmt.Sprintf("FAT has names of at most %d characters", maxFAT)
	}
	return ""
}
