package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// An overlayContent says how overlayfs finds the content of a file.
type overlayContent struct {
	metacopy  bool
	digest    digest.Digest
	redirect  string // "" if there is none
	payload   string
	noPayload bool
}

// readAttrs gives n the extended attributes that it had in the tree, and
// returns what those for overlayfs say.
func (rd *reader) readAttrs(n *tree.Node, raw *rawInode) (overlayContent, error) {
	var content overlayContent
	if raw.attrsSize == 0 {
		return content, nil
	}
	if err := rd.spend(raw.attrsSize); err != nil {
		return content, err
	}
	list, err := rd.listAttrs(raw)
	if err != nil {
		return content, fmt.Errorf("extended attributes: %w", err)
	}
	own := list[:0]
	for _, x := range list {
		name, overlay := strings.CutPrefix(x.Name, overlayPrefix)
		switch {
		case !overlay:
			own = append(own, x)
		case strings.HasPrefix(x.Name, overlayEscape):
			own = append(own, tree.Xattr{Name: overlayPrefix + x.Name[len(overlayEscape):], Value: x.Value})
		case x.Name == overlayMetacopy && !content.metacopy:
			content.metacopy = true
			content.digest, err = parseMetacopy(x.Value)
		case x.Name == overlayRedirect && content.redirect == "" && strings.HasPrefix(x.Value, "/"):
			content.redirect = x.Value
		case x.Name == overlayOpaque && x.Value == "y" && rd.version != V2 && len(rd.inodes) == 0:
			// The root's, which hides the object store.
		default:
			err = fmt.Errorf("%q is not as composefs images have it: %.64q", name, x.Value)
		}
		if err != nil {
			return content, fmt.Errorf("extended attributes: %w", err)
		}
	}
	if err := content.setPayload(); err != nil {
		return content, err
	}
	return content, rd.setAttrs(n, own)
}

// parseMetacopy reads struct ovl_metacopy.
func parseMetacopy(value string) (digest.Digest, error) {
	if value == "" {
		return digest.Digest{}, nil
	}
	if len(value) < 4 || value[0] != 0 || int(value[1]) != len(value) || value[2] != 0 {
		return digest.Digest{}, fmt.Errorf("bad metacopy attribute %q", value[:min(len(value), 80)])
	}
	return digest.FromBytes(digest.Algorithm(value[3]), []byte(value[4:]))
}

// setPayload says where the content is, as a tree.Node does.
func (c *overlayContent) setPayload() error {
	if c.redirect == "" {
		c.noPayload = !c.digest.IsZero()
		return nil
	}
	c.payload = c.redirect[1:]
	switch {
	case !c.metacopy:
		return errors.New("redirect without metacopy")
	case c.payload == "":
		return errors.New("redirect to nothing")
	case c.payload == c.digest.ObjectPath():
		c.payload = ""
	}
	return nil
}

// An attrOf is an extended attribute of a file.
type attrOf struct {
	node *tree.Node
	name string
}

// setAttrs gives n its attributes. The marks that stand for whiteouts can be
// there twice, as mark and as attribute of the tree: which of them is which
// will turn out later.
func (rd *reader) setAttrs(n *tree.Node, list []tree.Xattr) error {
	own := list
	if !tree.InOrder(list) {
		var err error
		if own, err = rd.dropTwice(n, list); err != nil {
			return err
		}
	}
	n.SetXattrs(slices.Clone(own)) // list had room for those of overlayfs, too
	return nil
}

// dropTwice returns the first of each name, and remembers the second.
func (rd *reader) dropTwice(n *tree.Node, list []tree.Xattr) ([]tree.Xattr, error) {
	seen := make(map[string]bool, len(list))
	own := list[:0]
	for _, x := range list {
		if !seen[x.Name] {
			seen[x.Name] = true
			own = append(own, x)
			continue
		}
		at := attrOf{n, x.Name}
		if _, third := rd.twice[at]; third || !slices.Contains(markNames, x.Name) {
			return nil, fmt.Errorf("extended attribute %q is there twice", x.Name)
		}
		rd.twice[at] = x.Value
	}
	return own, nil
}

// listAttrs returns the attributes as they are in the image.
func (rd *reader) listAttrs(raw *rawInode) ([]tree.Xattr, error) {
	body, err := rd.src.at(windowInodes, raw.attrs, raw.attrsSize)
	if err != nil {
		return nil, err
	}
	count := int(body[4])
	rest := body[xattrBodySize:]
	if len(rest) < 4*count {
		return nil, fmt.Errorf("%d shared ones in %d bytes", count, len(body))
	}
	list := make([]tree.Xattr, 0, count+2)
	for ; count > 0; count-- {
		x, err := rd.sharedAttr(binary.LittleEndian.Uint32(rest))
		if err != nil {
			return nil, err
		}
		list = append(list, x)
		rest = rest[4:]
	}
	for len(rest) > 0 {
		x, size, err := parseAttr(rest)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
		rest = rest[size:]
	}
	return list, nil
}

// sharedAttr returns the attribute with that number in the shared table.
func (rd *reader) sharedAttr(number uint32) (tree.Xattr, error) {
	if x, ok := rd.shared[number]; ok {
		return x, nil
	}
	offset := rd.attrBase + 4*uint64(number)
	b, err := rd.src.at(windowShared, offset, xattrHeaderSize)
	if err != nil {
		return tree.Xattr{}, err
	}
	size := attrSize(b)
	if err := rd.spend(size); err != nil {
		return tree.Xattr{}, err
	}
	if b, err = rd.src.at(windowShared, offset, size); err != nil {
		return tree.Xattr{}, err
	}
	x, _, err := parseAttr(b)
	rd.shared[number] = x
	return x, err
}

// attrSize returns the size of the attribute that begins with b.
func attrSize(b []byte) uint64 {
	return roundUp(xattrHeaderSize+uint64(b[0])+uint64(binary.LittleEndian.Uint16(b[2:])), 4)
}

var errAttrEnd = errors.New("one goes beyond its place")

// parseAttr reads the attribute at the beginning of b and returns its size.
func parseAttr(b []byte) (tree.Xattr, uint64, error) {
	if len(b) < xattrHeaderSize || attrSize(b) > uint64(len(b)) {
		return tree.Xattr{}, 0, errAttrEnd
	}
	prefix, err := prefixOf(b[1])
	if err != nil {
		return tree.Xattr{}, 0, err
	}
	nameEnd := xattrHeaderSize + int(b[0])
	valueEnd := nameEnd + int(binary.LittleEndian.Uint16(b[2:]))
	return tree.Xattr{
		Name:  prefix + string(b[xattrHeaderSize:nameEnd]),
		Value: string(b[nameEnd:valueEnd]),
	}, attrSize(b), nil
}

func prefixOf(index uint8) (string, error) {
	if index == 0 {
		return "", nil
	}
	for _, known := range xattrPrefixes {
		if known.index == index {
			return known.prefix, nil
		}
	}
	return "", fmt.Errorf("unknown name prefix %d", index)
}
