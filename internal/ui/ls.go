package ui

import (
	"bufio"
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// PrintFiles prints a line for the file n, or for each file in the directory n.
func (s *Screen) PrintFiles(path string, n *tree.Node, recursive bool) error {
	out := bufio.NewWriter(s.Out)
	switch {
	case !n.IsDir():
		fmt.Fprintln(out, listLine(path, n))
	case recursive:
		base := strings.TrimSuffix(path, "/")
		n.Walk(func(p string, m *tree.Node) {
			fmt.Fprintln(out, listLine(cmp.Or(strings.TrimSuffix(base+p, "/"), "/"), m))
		})
	default:
		for _, e := range n.Entries() {
			fmt.Fprintln(out, listLine(e.Name, e.Node))
		}
	}
	return out.Flush()
}

func listLine(name string, n *tree.Node) string {
	size := fmt.Sprint(n.Size)
	switch {
	case n.IsDevice():
		major, minor := n.Device()
		size = fmt.Sprintf("%d,%4d", major, minor)
	case n.IsSymlink():
		size = fmt.Sprint(len(n.Target))
	case n.IsDir():
		size = "-"
	}
	mtime := time.Unix(n.Mtime.Sec, int64(n.Mtime.Nsec)).UTC().Format("2006-01-02 15:04:05")
	line := fmt.Sprintf("%s %5d %5d %11s %s %s", modeText(n), n.UID, n.GID, size, mtime, Name(name))
	if n.IsSymlink() {
		line += " -> " + Name(n.Target)
	}
	return line
}

// modeText returns type and permissions as ls(1) writes them.
func modeText(n *tree.Node) string {
	types := map[uint32]byte{
		tree.TypeDir: 'd', tree.TypeSymlink: 'l', tree.TypeChar: 'c',
		tree.TypeBlock: 'b', tree.TypeFIFO: 'p', tree.TypeSocket: 's',
	}
	text := []byte("-rwxrwxrwx")
	text[0] = cmp.Or(types[n.Type()], '-')
	for i := range 9 {
		if n.Mode>>(8-i)&1 == 0 {
			text[1+i] = '-'
		}
	}
	for _, special := range []struct {
		bit       uint32
		at        int
		with, not byte // with the permission to execute, and without
	}{{0o4000, 3, 's', 'S'}, {0o2000, 6, 's', 'S'}, {0o1000, 9, 't', 'T'}} {
		if n.Mode&special.bit == 0 {
			continue
		}
		if text[special.at] == 'x' {
			text[special.at] = special.with
		} else {
			text[special.at] = special.not
		}
	}
	return string(text)
}
