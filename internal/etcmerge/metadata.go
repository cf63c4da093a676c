package etcmerge

import "github.com/sysupdate-image/sysupdate-image/internal/composefs"

// merged returns the local value if it was changed, else the new one.
func merged[T comparable](base, local, new T) T {
	if local == base {
		return new
	}
	return local
}

// mergeMetadata gives out the permissions, owner, attributes and time of l,
// but those of n where l is as b. Without b or n it is l that counts.
func mergeMetadata(out, b, l, n *composefs.Node) {
	out.CopyMetadata(l)
	if b == nil || n == nil {
		return
	}
	out.Mode = out.Type() | merged(b.Mode, l.Mode, n.Mode)&^composefs.TypeMask
	out.UID = merged(b.UID, l.UID, n.UID)
	out.GID = merged(b.GID, l.GID, n.GID)
	out.Mtime = merged(b.Mtime, l.Mtime, n.Mtime)
	values := map[string]string{}
	for _, from := range []*composefs.Node{l, n} {
		for _, x := range from.Xattrs() {
			if v := merged(attribute(b, x.Name), attribute(l, x.Name), attribute(n, x.Name)); v.ok {
				values[x.Name] = v.value
			}
		}
	}
	out.KeepXattrs(func(name string) bool { _, ok := values[name]; return ok })
	for name, value := range values {
		out.SetXattr(name, value)
	}
}

// A value is that of an attribute that may be missing.
type value struct {
	value string
	ok    bool
}

func attribute(n *composefs.Node, name string) value {
	v, ok := n.Xattr(name)
	return value{v, ok}
}

// setLabel gives n an SELinux label, or takes it away if it is "".
func setLabel(n *composefs.Node, label string) {
	if label != "" {
		n.SetXattr(composefs.XattrSELinux, label)
		return
	}
	n.KeepXattrs(func(name string) bool { return name != composefs.XattrSELinux })
}
