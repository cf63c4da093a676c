package merge

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// parseTree reads a tree in the form that the tests have, a line for each file:
//
//	PATH = "content"      regular file
//	PATH/                 directory; those on the way need no line
//	PATH -> TARGET        symbolic link
//	PATH == OTHER         one more name of a file above
//	PATH fifo | socket | char MAJOR:MINOR | block MAJOR:MINOR
//
// Then may follow mode=0600 uid=1 gid=1 mtime=1 and x:NAME=VALUE. A line "/"
// is about the root.
func parseTree(t *testing.T, text string) *tree.Node {
	t.Helper()
	root := &tree.Node{Mode: tree.TypeDir | 0o755}
	for line := range strings.Lines(text) {
		fields := splitLine(t, line)
		if len(fields) == 0 {
			continue
		}
		n, rest := parseNode(t, root, fields)
		for _, option := range rest {
			setOption(t, n, option)
		}
		if n != root {
			place(root, strings.Trim(fields[0], "/"), n)
		}
	}
	root.CountLinks()
	return root
}

// splitLine returns the words of a line; a quoted one stays quoted.
func splitLine(t *testing.T, line string) []string {
	t.Helper()
	var fields []string
	for {
		line = strings.TrimSpace(line)
		if line == "" {
			return fields
		}
		word, err := strconv.QuotedPrefix(line)
		if err != nil {
			word, _, _ = strings.Cut(line, " ")
		}
		if option, value, ok := strings.Cut(line, "="); ok && strings.HasPrefix(option, "x:") {
			if quoted, err := strconv.QuotedPrefix(value); err == nil {
				word = option + "=" + quoted
			}
		}
		fields = append(fields, word)
		line = line[len(word):]
	}
}

// parseNode returns the node that a line is about, and its options.
func parseNode(t *testing.T, root *tree.Node, f []string) (*tree.Node, []string) {
	t.Helper()
	switch {
	case f[0] == "/":
		return root, f[1:]
	case strings.HasSuffix(f[0], "/"):
		return &tree.Node{Mode: tree.TypeDir | 0o755}, f[1:]
	case len(f) > 2 && f[1] == "=":
		content, err := strconv.Unquote(f[2])
		if err != nil {
			t.Fatalf("%q: %v", f, err)
		}
		n := &tree.Node{Mode: tree.TypeRegular | 0o644, Size: uint64(len(content))}
		if content != "" {
			n.Inline = []byte(content)
		}
		return n, f[3:]
	case len(f) > 2 && f[1] == "->":
		return &tree.Node{Mode: tree.TypeSymlink | 0o777, Target: f[2]}, f[3:]
	case len(f) > 2 && f[1] == "==":
		return root.Lookup(f[2]), f[3:]
	case len(f) > 1 && f[1] == "fifo":
		return &tree.Node{Mode: tree.TypeFIFO | 0o644}, f[2:]
	case len(f) > 1 && f[1] == "socket":
		return &tree.Node{Mode: tree.TypeSocket | 0o644}, f[2:]
	case len(f) > 2 && (f[1] == "char" || f[1] == "block"):
		n := &tree.Node{Mode: tree.TypeChar | 0o644}
		if f[1] == "block" {
			n.Mode = tree.TypeBlock | 0o644
		}
		var major, minor uint32
		if _, err := fmt.Sscanf(f[2], "%d:%d", &major, &minor); err != nil {
			t.Fatalf("%q: %v", f, err)
		}
		n.Rdev = major<<8 | minor
		return n, f[3:]
	}
	t.Fatalf("cannot read %q", f)
	return nil, nil
}

func setOption(t *testing.T, n *tree.Node, option string) {
	t.Helper()
	key, value, _ := strings.Cut(option, "=")
	if name, ok := strings.CutPrefix(key, "x:"); ok {
		if s, err := strconv.Unquote(value); err == nil {
			value = s
		}
		n.SetXattr(name, value)
		return
	}
	number, err := strconv.ParseInt(value, 0, 64)
	if err != nil {
		t.Fatalf("%q: %v", option, err)
	}
	switch key {
	case "mode":
		n.Mode = n.Type() | uint32(number)
	case "uid":
		n.UID = uint32(number)
	case "gid":
		n.GID = uint32(number)
	case "mtime":
		n.Mtime.Sec = number
	default:
		t.Fatalf("unknown option %q", option)
	}
}

// place enters n at path, making directories on the way.
func place(root *tree.Node, path string, n *tree.Node) {
	dir := root
	parts := strings.Split(path, "/")
	for _, name := range parts[:len(parts)-1] {
		if dir.Entry(name) == nil {
			dir.Set(name, &tree.Node{Mode: tree.TypeDir | 0o755})
		}
		dir = dir.Entry(name)
	}
	dir.Set(parts[len(parts)-1], n)
}

// formatTree is the inverse of parseTree.
func formatTree(t *testing.T, root *tree.Node) string {
	t.Helper()
	var b strings.Builder
	first := map[*tree.Node]string{}
	walk("/", root, func(path string, n *tree.Node) {
		name := path[1:]
		if other, ok := first[n]; ok {
			fmt.Fprintf(&b, "%s == %s\n", name, other)
			return
		}
		if !n.IsDir() {
			first[n] = name
		}
		perm := uint32(0o644)
		line := ""
		switch n.Type() {
		case tree.TypeDir:
			perm, line = 0o755, name+"/"
		case tree.TypeSymlink:
			perm, line = 0o777, name+" -> "+n.Target
		case tree.TypeRegular:
			line = fmt.Sprintf("%s = %q", name, content(t, n))
		case tree.TypeFIFO:
			line = name + " fifo"
		case tree.TypeSocket:
			line = name + " socket"
		case tree.TypeChar:
			line = fmt.Sprintf("%s char %d:%d", name, n.Rdev>>8, n.Rdev&0xff)
		case tree.TypeBlock:
			line = fmt.Sprintf("%s block %d:%d", name, n.Rdev>>8, n.Rdev&0xff)
		}
		options := formatOptions(n, perm)
		if n == root && options == "" {
			return
		}
		b.WriteString(line + options + "\n")
	})
	return b.String()
}

func formatOptions(n *tree.Node, perm uint32) string {
	var b strings.Builder
	if got := n.Mode &^ tree.TypeMask; got != perm {
		fmt.Fprintf(&b, " mode=%#o", got)
	}
	if n.UID != 0 {
		fmt.Fprintf(&b, " uid=%d", n.UID)
	}
	if n.GID != 0 {
		fmt.Fprintf(&b, " gid=%d", n.GID)
	}
	if n.Mtime.Sec != 0 {
		fmt.Fprintf(&b, " mtime=%d", n.Mtime.Sec)
	}
	for _, x := range n.Xattrs() {
		value := x.Value
		if value == "" || strconv.Quote(value) != `"`+value+`"` || strings.Contains(value, " ") {
			value = strconv.Quote(value)
		}
		fmt.Fprintf(&b, " x:%s=%s", x.Name, value)
	}
	return b.String()
}

func content(t *testing.T, n *tree.Node) []byte {
	t.Helper()
	data, err := compare{t.Context(), noObjects}.read(n)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// noObjects is the Opener for trees that have all contents in themselves.
func noObjects(n *tree.Node) (io.ReadCloser, error) {
	return nil, fmt.Errorf("asked for object %s", n.Digest)
}

// clone returns a copy of a tree that shares no nodes with it.
func clone(n *tree.Node) *tree.Node {
	seen := map[*tree.Node]*tree.Node{}
	var copyOf func(*tree.Node) *tree.Node
	copyOf = func(n *tree.Node) *tree.Node {
		if c := seen[n]; c != nil {
			return c
		}
		c := n.Clone()
		seen[n] = c
		for _, e := range slices.Clone(c.Entries()) {
			c.Set(e.Name, copyOf(e.Node))
		}
		return c
	}
	return copyOf(n)
}

// share makes local share with base the nodes that are the same, as if it had
// been read from an overlay.
func share(t *testing.T, base, local *tree.Node) {
	t.Helper()
	for _, e := range slices.Clone(local.Entries()) {
		b := child(base, e.Name)
		if b == nil {
			continue
		}
		same, err := compare{t.Context(), noObjects}.sameTree(b, e.Node)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case same && (e.Node.IsDir() || e.Node.Nlink == b.Nlink):
			local.Set(e.Name, b)
		case e.Node.IsDir() && b.IsDir():
			share(t, b, e.Node)
		}
	}
}
