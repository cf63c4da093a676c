package layer

import (
	"slices"
	"strings"
)

// The names that layers have for what they remove, see "Whiteouts" in the OCI
// image specification's layer.md.
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// isWhiteout reports whether an entry called name removes something. Its type does
// not matter: AUFS makes hard links of them.
func isWhiteout(name string) bool { return strings.HasPrefix(name, whiteoutPrefix) }

// isAUFS reports whether name is a directory or file that AUFS keeps beside those of
// a tree, such as .wh..wh.plnk, which has files for hard links to lead to. No image
// has them.
func isAUFS(name string) bool {
	return strings.HasPrefix(name, whiteoutPrefix+whiteoutPrefix) && name != whiteoutOpaque
}

// belowWhiteout reports whether a directory is one of AUFS, or else which part of its
// path is a whiteout.
func belowWhiteout(dir []string) (aufs bool, whiteout string) {
	if i := slices.IndexFunc(dir, isWhiteout); i >= 0 {
		return isAUFS(dir[i]), dir[i]
	}
	return false, ""
}

// whiteout removes what the layers below have, or, if entries take effect in order,
// what there is.
func (l *layering) whiteout(e *entry, dir []string, name string) error {
	l.noteLate(e, dir, name)
	from := l.lower
	for i, part := range dir {
		switch from = from.Entry(part); {
		case from != nil && from.IsDir():
		case l.InOrder:
			return notDirectory(strings.Join(dir[:i+1], "/"))
		case from != nil:
			l.blocked[strings.Join(dir[:i+1], "/")] = e.name
			return nil
		default:
			return nil
		}
	}
	if name == whiteoutOpaque {
		from.Clear()
		return nil
	}
	from.Remove(strings.TrimPrefix(name, whiteoutPrefix))
	return nil
}

// noteLate notes a whiteout that would, in the order of the archive, remove something
// of its own layer.
func (l *layering) noteLate(e *entry, dir []string, name string) {
	if l.InOrder || len(l.Late) >= maxLate {
		return
	}
	own := l.upper.Lookup(strings.Join(dir, "/"))
	if own == nil || !own.IsDir() {
		return
	}
	removed := strings.TrimPrefix(name, whiteoutPrefix)
	if name == whiteoutOpaque && len(own.Entries()) > 0 || name != whiteoutOpaque && own.Entry(removed) != nil {
		l.Late = append(l.Late, strings.Clone(e.name))
	}
}
