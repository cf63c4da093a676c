package tree

import (
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// maxLinks is how many links may lead from one to the next, as for the kernel.
const maxLinks = 40

// Resolve returns the file below root that a path leads to, and its path without links.
// Links are followed as chroot(2) does, so none leads out of the tree; the last name may be
// one unless follow is set. There is no node if nothing is there.
func Resolve(root *Node, name string, follow bool) (string, *Node, error) {
	var at []string // names of the directories down to where it is
	nodes := []*Node{root}
	todo := pathParts(name)
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		dir := nodes[len(nodes)-1]
		if part == ".." {
			at, nodes = at[:max(0, len(at)-1)], nodes[:max(1, len(nodes)-1)]
			continue
		}
		if !dir.IsDir() {
			return "", nil, nil
		}
		n := dir.Entry(part)
		switch {
		case n == nil:
			return "", nil, nil
		case n.IsSymlink() && (follow || len(todo) > 0):
			if links++; links > maxLinks {
				return "", nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP}
			}
			if path.IsAbs(n.Target) {
				at, nodes = nil, nodes[:1]
			}
			todo = append(pathParts(n.Target), todo...)
		default:
			at, nodes = append(at, part), append(nodes, n)
		}
	}
	return path.Join(append([]string{"."}, at...)...), nodes[len(nodes)-1], nil
}

// pathParts returns the names in a path.
func pathParts(name string) (parts []string) {
	for part := range strings.SplitSeq(name, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return parts
}
