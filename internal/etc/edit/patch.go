package edit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	unified "github.com/rogpeppe/go-internal/diff"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// swapped returns where a directory took the place of a file, or a file that of a
// directory, and what is below: patch(1) removes files at its end only.
func swapped(changes []diff.Change) func(path string) bool {
	var places []string
	for _, c := range changes {
		if c.Old != nil && c.New != nil && c.Old.IsDir() != c.New.IsDir() {
			places = append(places, c.Path)
		}
	}
	return func(path string) bool {
		return slices.ContainsFunc(places, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
	}
}

// A side is what a file is before or after a change, as a patch can have it.
type side struct {
	node *tree.Node // nil if there is no file or link
	data []byte     // of a link its target
	text bool       // data is there and a text
}

// nothing is the side of a file that comes or goes.
var nothing = side{text: true}

// symlink is the mode of a symbolic link in a patch.
const symlink = tree.TypeSymlink

// patch returns a change in the format of git diff, for patch -p1: with modes, links,
// new, empty and removed files, and names of all kinds. It returns "" for what the format
// cannot express: directories, owners, and contents that are not text.
func (e *Etc) patch(c diff.Change) (string, error) {
	old, err := e.side(c.Old)
	if err != nil {
		return "", fmt.Errorf("cannot read %s in the image: %w", c.Path, err)
	}
	now, err := e.side(c.New)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", c.Path, err)
	}
	if old.node != nil && now.node != nil && old.mode()&tree.TypeMask != now.mode()&tree.TypeMask {
		if !old.text || !now.text {
			return "", nil
		}
		return filePatch(c.Path, old, nothing) + filePatch(c.Path, nothing, now), nil
	}
	return filePatch(c.Path, old, now), nil
}

// side reads a file.
func (e *Etc) side(n *tree.Node) (side, error) {
	switch {
	case n == nil:
		return nothing, nil
	case n.IsSymlink():
		return side{n, []byte(n.Target), true}, nil
	case !n.IsRegular():
		return nothing, nil
	}
	data, ok, err := e.text(n)
	return side{n, data, ok}, err
}

// mode returns the mode of a file as git has it.
func (s side) mode() uint32 {
	if s.node.IsSymlink() {
		return symlink
	}
	return s.node.Mode&tree.TypeMask | s.node.Mode&0o777
}

// filePatch returns how a file changes, or comes or goes, without changing its type.
func filePatch(path string, old, now side) string {
	var head strings.Builder
	from, to := quoteName("image"+path), quoteName("local"+path)
	fmt.Fprintf(&head, "diff --git %s %s\n", from, to)
	text := old.text && now.text
	switch {
	case old.node == nil && now.node == nil, (old.node == nil || now.node == nil) && !text:
		return ""
	case old.node == nil:
		fmt.Fprintf(&head, "new file mode %06o\n", now.mode())
		from = "/dev/null"
	case now.node == nil:
		fmt.Fprintf(&head, "deleted file mode %06o\n", old.mode())
		if len(old.data) == 0 {
			head.WriteString("index e69de29..0000000\n") // of an empty file, and none
		}
		to = "/dev/null"
	case old.mode() != now.mode():
		fmt.Fprintf(&head, "old mode %06o\nnew mode %06o\n", old.mode(), now.mode())
	case !text || bytes.Equal(old.data, now.data):
		return ""
	case now.node.IsSymlink():
		// patch(1) knows by this line that it is one. The numbers mean nothing, but
		// zero would be a file that is not there.
		fmt.Fprintf(&head, "index 1..2 %06o\n", now.mode())
	}
	if !text {
		return head.String()
	}
	return head.String() + hunks(from, old.data, to, now.data)
}

// hunks returns what has changed in a text, with the names of both, "" for nothing.
func hunks(from string, old []byte, to string, now []byte) string {
	out := unified.Diff("", old, "", now)
	if out == nil {
		return ""
	}
	lines := strings.SplitAfterN(string(out), "\n", 4)
	return "--- " + from + "\n+++ " + to + "\n" + lines[3]
}

// quoteName returns a name as patch(1) and git have it: quoted as in C if it has
// anything but plain characters in it, blanks included.
func quoteName(name string) string {
	var b strings.Builder
	plain := true
	for i := range len(name) {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			b.WriteString("\\" + string(c))
			plain = false
		case c <= ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
			plain = false
		default:
			b.WriteByte(c)
		}
	}
	if plain {
		return name
	}
	return `"` + b.String() + `"`
}
