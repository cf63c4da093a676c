package tree

import (
	"errors"
	"fmt"
	"strings"
)

// What mkcomposefs accepts, and what Linux can name. A tree within these limits
// can be written as a dump and as an image, and read again.
const (
	MaxName   = 255  // bytes of a name in a directory, NAME_MAX
	MaxPath   = 4095 // bytes of a path, PATH_MAX without the final NUL
	MaxTarget = 4095 // bytes of a symbolic link's target
	MaxInline = 5000 // bytes of content that an image can hold itself
	MaxXattr  = 65535
)

// CheckName returns an error if no directory can have an entry of that name.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("empty name")
	case name == "." || name == "..":
		return fmt.Errorf("%q is not a name", name)
	case len(name) > MaxName:
		return fmt.Errorf("name of %d bytes: want at most %d", len(name), MaxName)
	case strings.IndexByte(name, 0) >= 0:
		return fmt.Errorf("name %q has a NUL byte", name)
	case strings.IndexByte(name, '/') >= 0:
		return fmt.Errorf("name %q has a slash", name)
	}
	return nil
}

// Check returns an error if n, by itself, cannot be a file of an image: what
// its type needs is missing, is too large, or contradicts itself.
func (n *Node) Check() error {
	if n.Mtime.Nsec > 999999999 {
		return fmt.Errorf("modification time has %d nanoseconds", n.Mtime.Nsec)
	}
	for _, x := range n.Xattrs() {
		switch {
		case x.Name == "" || len(x.Name) > MaxName:
			return fmt.Errorf("extended attribute has a name of %d bytes: want 1 to %d", len(x.Name), MaxName)
		case strings.IndexByte(x.Name, 0) >= 0:
			return fmt.Errorf("extended attribute %q has a NUL byte in its name", x.Name)
		case len(x.Value) > MaxXattr:
			return fmt.Errorf("extended attribute %q has %d bytes: want at most %d", x.Name, len(x.Value), MaxXattr)
		}
	}
	switch n.Type() {
	case TypeDir, TypeFIFO, TypeSocket, TypeChar, TypeBlock:
		return nil
	case TypeSymlink:
		return checkTarget(n.Target)
	case TypeRegular:
		return n.checkRegular()
	}
	return fmt.Errorf("mode %o has no file type", n.Mode)
}

func checkTarget(target string) error {
	switch {
	case target == "":
		return errors.New("symbolic link without a target")
	case len(target) > MaxTarget:
		return fmt.Errorf("symbolic link to %d bytes: want at most %d", len(target), MaxTarget)
	case strings.IndexByte(target, 0) >= 0:
		return fmt.Errorf("symbolic link to %q, which has a NUL byte", target)
	}
	return nil
}

func (n *Node) checkRegular() error {
	payload := n.Payload()
	switch {
	case len(n.Inline) > MaxInline:
		return fmt.Errorf("%d bytes of content in the image: want at most %d", len(n.Inline), MaxInline)
	case len(n.Inline) > 0 && uint64(len(n.Inline)) != n.Size:
		return fmt.Errorf("size is %d, but there are %d bytes of content", n.Size, len(n.Inline))
	case len(payload) > MaxPath:
		return fmt.Errorf("payload path of %d bytes: want at most %d", len(payload), MaxPath)
	case strings.IndexByte(payload, 0) >= 0:
		return fmt.Errorf("payload path %q has a NUL byte", payload)
	case payload != "" && n.NoPayload:
		return fmt.Errorf("payload path %q, and said to have none", payload)
	}
	return nil
}
