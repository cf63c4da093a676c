package tree

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
)

// WriteDump writes the tree below root as composefs-dump(5) has it: one line
// for each name, in the order of Walk. ParseDump reads it back.
func WriteDump(w io.Writer, root *Node) error {
	d := dumper{w: bufio.NewWriterSize(w, 64<<10), described: describedAt(root)}
	if err := d.write(nil, root); err != nil {
		return fmt.Errorf("cannot write dump: %w", err)
	}
	if err := d.w.Flush(); err != nil {
		return fmt.Errorf("cannot write dump: %w", err)
	}
	return nil
}

type dumper struct {
	w         *bufio.Writer
	described map[*Node]string // files with several names, see describedAt
	path      []byte           // of the current node, "" for the root
	line      []byte
}

// write writes n, whose name in the directory dir ends d.path, and what is
// below it.
func (d *dumper) write(dir, n *Node) error {
	if at, ok := d.described[n]; ok && at != string(d.path) {
		d.line = d.appendPath(d.line[:0])
		d.line = append(d.line, " 0 @120000 - - - - 0.0 "...)
		d.line = append(appendEscaped(d.line, at, 0), " - -\n"...)
		_, err := d.w.Write(d.line)
		return err
	}
	d.line = n.appendLine(d.appendPath(d.line[:0]))
	if _, err := d.w.Write(d.line); err != nil {
		return err
	}
	length := len(d.path)
	for _, e := range n.Entries() {
		d.path = append(append(d.path[:length], '/'), e.Name...)
		if err := d.write(n, e.Node); err != nil {
			return err
		}
	}
	d.path = d.path[:length]
	return nil
}

func (d *dumper) appendPath(b []byte) []byte {
	if len(d.path) == 0 {
		return append(b, '/')
	}
	return appendEscaped(b, string(d.path), 0)
}

// appendLine appends the fields after the path, and the line break.
func (n *Node) appendLine(b []byte) []byte {
	size := n.Size
	payload, content := n.PayloadPath(), string(n.Inline)
	if !n.IsRegular() {
		size, payload, content = uint64(len(n.Target)), n.Target, ""
	}
	b = strconv.AppendUint(append(b, ' '), size, 10)
	b = strconv.AppendUint(append(b, ' '), uint64(n.Mode), 8)
	for _, number := range []uint32{n.Nlink, n.UID, n.GID, n.Rdev} {
		b = strconv.AppendUint(append(b, ' '), uint64(number), 10)
	}
	b = strconv.AppendInt(append(b, ' '), n.Mtime.Sec, 10)
	b = strconv.AppendUint(append(b, '.'), uint64(n.Mtime.Nsec), 10)
	b = appendField(append(b, ' '), payload)
	b = appendField(append(b, ' '), content)
	b = appendField(append(b, ' '), n.Digest.String())
	for _, x := range n.Xattrs() {
		b = appendEscaped(append(b, ' '), x.Name, '=')
		b = appendEscaped(append(b, '='), x.Value, '=')
	}
	return append(b, '\n')
}

// describedAt returns, for each file with several names, the path of that with
// which the dump describes it: its home, else the first in the order of Walk.
func describedAt(root *Node) map[*Node]string {
	seen := make(map[*Node]bool)
	several := make(map[*Node]string)
	root.leaves(nil, func(_ []byte, _ *Node, e Entry) {
		if seen[e.Node] {
			several[e.Node] = ""
		}
		seen[e.Node] = true
	})
	if len(several) == 0 {
		return nil
	}
	root.leaves(nil, func(path []byte, dir *Node, e Entry) {
		at, ok := several[e.Node]
		homeDir, homeName := e.Node.Home()
		if ok && (at == "" || homeDir == dir && homeName == e.Name) {
			several[e.Node] = string(path) + "/" + e.Name
		}
	})
	return several
}

// leaves calls visit for each name below n that is not a directory's; path is
// that of dir.
func (n *Node) leaves(path []byte, visit func(path []byte, dir *Node, e Entry)) {
	for _, e := range n.Entries() {
		if e.Node.IsDir() {
			e.Node.leaves(append(append(path, '/'), e.Name...), visit)
		} else {
			visit(path, n, e)
		}
	}
}
