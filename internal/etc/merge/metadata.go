package merge

import "github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"

// merged returns the local value if it was changed, else the next one.
func merged[T comparable](base, local, next T) T {
	if local == base {
		return next
	}
	return local
}

// mergeMetadata gives out the permissions, owner, attributes and time of l,
// but those of n where l is as b. Without b or n it is l that counts.
func mergeMetadata(out, b, l, n *tree.Node) {
	out.CopyMetadata(l)
	if b == nil || n == nil {
		return
	}
	who := merged(accessOf(b), accessOf(l), accessOf(n))
	out.Mode = out.Type() | who.mode
	out.UID = merged(b.UID, l.UID, n.UID)
	out.GID = merged(b.GID, l.GID, n.GID)
	out.Mtime = merged(b.Mtime, l.Mtime, n.Mtime)
	values := map[string]string{}
	if who.acl.ok {
		values[accessACL] = who.acl.value
	}
	for _, from := range []*tree.Node{l, n} {
		for _, x := range from.Xattrs() {
			if x.Name == accessACL {
				continue
			}
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

// overrides reports whether mergeMetadata takes something from l that n has changed
// too.
func overrides(b, l, n *tree.Node) bool {
	if changedTwice(accessOf(b), accessOf(l), accessOf(n)) || changedTwice(b.UID, l.UID, n.UID) || changedTwice(b.GID, l.GID, n.GID) {
		return true
	}
	for _, from := range []*tree.Node{b, l, n} {
		for _, x := range from.Xattrs() {
			if x.Name != accessACL && changedTwice(attribute(b, x.Name), attribute(l, x.Name), attribute(n, x.Name)) {
				return true
			}
		}
	}
	return false
}

func changedTwice[T comparable](base, local, next T) bool {
	return local != base && next != base && local != next
}

// accessACL is the ACL of a file, see acl(5).
const accessACL = "system.posix_acl_access"

// An access says who may do what: permissions and ACL are one thing, of which
// chmod(2) and setfacl(1) change parts, and each the other.
type access struct {
	mode uint32
	acl  value
}

func accessOf(n *tree.Node) access {
	return access{n.Mode &^ tree.TypeMask, attribute(n, accessACL)}
}

// A value is that of an attribute that may be missing.
type value struct {
	value string
	ok    bool
}

func attribute(n *tree.Node, name string) value {
	v, ok := n.Xattr(name)
	return value{v, ok}
}
