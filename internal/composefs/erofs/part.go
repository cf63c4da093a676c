package erofs

import (
	"io"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// A Part says which files of a directory are wanted: for each name it returns
// what is wanted of the directory that the file may be, nil if the file is not
// wanted.
type Part func(name string) Part

// All wants everything.
func All(string) Part { return All }

// ReadPart is Read for a part of the tree; part speaks of the root. A file that
// is not wanted is there by name alone, as a node without even a type: it can be
// told from a file that is missing, and nothing else. ReadPart takes time in
// proportion to what it reads.
func ReadPart(r io.ReaderAt, size int64, part Part) (*tree.Node, error) {
	return readTree(r, size, part)
}

// Paths wants what is at some paths, which are relative, with all that is below. An element
// "*" stands for any name, "*.efi" for any that ends so.
func Paths(paths ...string) Part {
	return func(name string) Part {
		var below []string
		for _, p := range paths {
			first, rest, deeper := strings.Cut(p, "/")
			if !matches(first, name) {
				continue
			}
			if !deeper {
				return All
			}
			below = append(below, rest)
		}
		if below == nil {
			return nil
		}
		return Paths(below...)
	}
}

func matches(pattern, name string) bool {
	end, any := strings.CutPrefix(pattern, "*")
	return pattern == name || any && strings.HasSuffix(name, end)
}
