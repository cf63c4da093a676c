package erofs

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// An attrRef is an extended attribute of the image: what kind it is in the
// lowest two bits, above them its index in the table of that kind.
type attrRef uint32

const (
	plainAttr    attrRef = iota // of attrTable.plain
	metacopyAttr                // trusted.overlay.metacopy of one of attrTable.objects
	redirectAttr                // trusted.overlay.redirect of one of them
)

func newAttrRef[T int | int32](kind attrRef, index T) attrRef { return attrRef(index)<<2 | kind }

func (r attrRef) kind() attrRef { return r & 3 }
func (r attrRef) index() int    { return int(r >> 2) }

// An attrTable holds each pair of name and value once. Nearly every file has
// two that no other has; those are made of its digest when they are needed.
type attrTable struct {
	plain      []plain
	byPair     map[tree.Xattr]attrRef
	objects    []object
	byDigest   []int32 // for each hash of digests the object that got it last, plus one
	seed       maphash.Seed
	shared     []attrRef          // in the order in which they are written
	offsets    map[attrRef]uint32 // of these in the shared table
	metaFilter uint32             // bits of the name filter
	redirect   uint32
}

// A plain attribute is kept unchanged.
type plain struct {
	tree.Xattr
	prefix uint8
	suffix string // of the name
	filter uint32 // its bit of the name filter
	use
}

// An object is the content of a file, known by its digest.
type object struct {
	digest             *digest.Digest // the file's own
	next               int32          // with the same hash, plus one; 0: none
	metacopy, redirect use
}

// A use says how often an attribute is used, up to two: then it is shared.
type use uint8

// newAttrTable returns a table that expects so many objects.
func newAttrTable(objects int) attrTable {
	return attrTable{
		byPair:     make(map[tree.Xattr]attrRef),
		objects:    make([]object, 0, objects),
		byDigest:   make([]int32, 1<<bits.Len(uint(objects))), // more than there are objects
		seed:       maphash.MakeSeed(),
		metaFilter: filterBit("overlay.metacopy", indexTrusted),
		redirect:   filterBit("overlay.redirect", indexTrusted),
	}
}

// filterBit returns the bit that stands for an attribute in the name filter.
func filterBit(suffix string, prefix uint8) uint32 {
	const seed = 0x25BBE08F // EROFS_XATTR_FILTER_SEED
	return 1 << (xxh32(suffix, seed+uint32(prefix)) & 31)
}

// add returns the attribute with that name and value.
func (t *attrTable) add(x tree.Xattr, version int) attrRef {
	if r, ok := t.byPair[x]; ok {
		return r
	}
	p := plain{Xattr: x, suffix: x.Name}
	for _, known := range xattrPrefixes {
		if suffix, ok := strings.CutPrefix(x.Name, known.prefix); ok && (known.index != indexLustre || version == V2) {
			p.prefix, p.suffix = known.index, suffix
			break
		}
	}
	p.filter = filterBit(p.suffix, p.prefix)
	r := newAttrRef(plainAttr, len(t.plain))
	t.plain = append(t.plain, p)
	t.byPair[x] = r
	return r
}

// object returns the index of the object with that digest, which is not changed.
func (t *attrTable) object(d *digest.Digest) int32 {
	last := &t.byDigest[maphash.Bytes(t.seed, d.Bytes())%uint64(len(t.byDigest))]
	for i := *last; i > 0; i = t.objects[i-1].next {
		if *t.objects[i-1].digest == *d {
			return i - 1
		}
	}
	t.objects = append(t.objects, object{digest: d, next: *last})
	*last = int32(len(t.objects))
	return *last - 1
}

// use returns the use of an attribute.
func (t *attrTable) use(r attrRef) *use {
	switch r.kind() {
	case metacopyAttr:
		return &t.objects[r.index()].metacopy
	case redirectAttr:
		return &t.objects[r.index()].redirect
	}
	return &t.plain[r.index()].use
}

// name returns the whole name of an attribute.
func (t *attrTable) name(r attrRef) string {
	switch r.kind() {
	case metacopyAttr:
		return overlayMetacopy
	case redirectAttr:
		return overlayRedirect
	}
	return t.plain[r.index()].Name
}

// filter returns the bit of an attribute in the name filter.
func (t *attrTable) filter(r attrRef) uint32 {
	switch r.kind() {
	case metacopyAttr:
		return t.metaFilter
	case redirectAttr:
		return t.redirect
	}
	return t.plain[r.index()].filter
}

// split returns the number of the name's prefix, and the rest of the name.
func (t *attrTable) split(r attrRef) (uint8, string) {
	if r.kind() == plainAttr {
		p := &t.plain[r.index()]
		return p.prefix, p.suffix
	}
	return indexTrusted, t.name(r)[len("trusted."):]
}

// valueSize returns the length of the value.
func (t *attrTable) valueSize(r attrRef) int {
	if r.kind() == plainAttr {
		return len(t.plain[r.index()].Value)
	}
	size := t.objects[r.index()].digest.Algorithm().Size()
	if r.kind() == metacopyAttr {
		return 4 + size
	}
	return 2 + 2*size
}

// appendValue appends the value.
func (t *attrTable) appendValue(b []byte, r attrRef) []byte {
	if r.kind() == plainAttr {
		return append(b, t.plain[r.index()].Value...)
	}
	d := t.objects[r.index()].digest
	sum := d.Bytes()
	if r.kind() == metacopyAttr {
		// struct ovl_metacopy: version, length, flags, digest algorithm.
		return append(append(b, 0, byte(4+len(sum)), 0, byte(d.Algorithm())), sum...)
	}
	b = hex.AppendEncode(append(b, '/'), sum[:1])
	return hex.AppendEncode(append(b, '/'), sum[1:])
}

// entrySize returns how many bytes an attribute takes.
func (t *attrTable) entrySize(r attrRef) int {
	_, suffix := t.split(r)
	return roundUp(xattrHeaderSize+len(suffix)+t.valueSize(r), 4)
}

// appendEntry appends an attribute in the form of the image.
func (t *attrTable) appendEntry(b []byte, r attrRef) []byte {
	prefix, suffix := t.split(r)
	value := t.valueSize(r)
	b = append(b, byte(len(suffix)), prefix, byte(value), byte(value>>8))
	b = t.appendValue(append(b, suffix...), r)
	for n := xattrHeaderSize + len(suffix) + value; n%4 != 0; n++ {
		b = append(b, 0)
	}
	return b
}

// share puts what is used more than once into the shared table and returns its
// size.
func (t *attrTable) share(version int) uint64 {
	for i := range t.plain {
		t.shareIfUsed(newAttrRef(plainAttr, i))
	}
	for i := range t.objects {
		t.shareIfUsed(newAttrRef(metacopyAttr, i))
		t.shareIfUsed(newAttrRef(redirectAttr, i))
	}
	compare := t.compareDescending
	if version == V2 {
		compare = t.compareAsV2
	}
	slices.SortFunc(t.shared, compare)
	offset := 0
	t.offsets = make(map[attrRef]uint32, len(t.shared))
	for _, r := range t.shared {
		t.offsets[r] = uint32(offset)
		offset += t.entrySize(r)
	}
	return uint64(offset)
}

func (t *attrTable) shareIfUsed(r attrRef) {
	if *t.use(r) > 1 {
		t.shared = append(t.shared, r)
	}
}

// compareDescending: names, then lengths of values, then values, all from the
// largest to the smallest.
func (t *attrTable) compareDescending(a, b attrRef) int {
	return cmp.Or(strings.Compare(t.name(b), t.name(a)), t.compareValues(b, a))
}

// compareValues orders by length, then by bytes.
func (t *attrTable) compareValues(a, b attrRef) int {
	if c := cmp.Compare(t.valueSize(a), t.valueSize(b)); c != 0 {
		return c
	}
	return t.compareBytes(a, b)
}

func (t *attrTable) compareBytes(a, b attrRef) int {
	if a.kind() == b.kind() && a.kind() != plainAttr {
		// The values begin alike and differ where the digests do.
		return slices.Compare(t.objects[a.index()].digest.Bytes(), t.objects[b.index()].digest.Bytes())
	}
	var bufA, bufB [192]byte
	return slices.Compare(t.appendValue(bufA[:0], a), t.appendValue(bufB[:0], b))
}

// compareAsV2: number of the prefix, rest of the name, value.
func (t *attrTable) compareAsV2(a, b attrRef) int {
	prefixA, suffixA := t.split(a)
	prefixB, suffixB := t.split(b)
	return cmp.Or(cmp.Compare(prefixA, prefixB), strings.Compare(suffixA, suffixB), t.compareBytes(a, b))
}

// setAttrs lists the attributes with which inode i is written. whiteouts says
// that it is a directory with whiteouts.
func (img *image) setAttrs(i int, whiteouts bool) error {
	n := &img.inodes[i]
	start := len(img.refs)
	if img.version == V2 {
		img.addContent(n.node)
	}
	for _, x := range n.node.Xattrs() {
		if strings.HasPrefix(x.Name, overlayPrefix) {
			x.Name = overlayEscape + x.Name[len(overlayPrefix):]
		}
		img.refs = append(img.refs, img.attrs.add(x, img.version))
	}
	if img.version != V2 {
		img.addContent(n.node)
		img.addMarkers(i, start, whiteouts)
		// They are in order already, but for the last few.
		slices.SortStableFunc(img.refs[start:], func(a, b attrRef) int {
			if c := strings.Compare(img.attrs.name(a), img.attrs.name(b)); c != 0 || a == b {
				return c
			}
			return img.attrs.compareValues(a, b)
		})
	}
	refs := img.refs[start:]
	if len(refs) > 1<<16-1 {
		return fmt.Errorf("a file %w", errAttrs)
	}
	n.refs, n.refCount = uint32(start), uint16(len(refs))
	for _, r := range refs {
		use := img.attrs.use(r)
		*use = min(*use+1, 2)
		if prefix, _ := img.attrs.split(r); prefix == indexACLAccess || prefix == indexACLDefault {
			img.hasACL = true
		}
	}
	return nil
}

// addContent lists the attributes by which overlayfs finds the content of a
// regular file.
func (img *image) addContent(n *tree.Node) {
	if !n.IsRegular() || n.Size == 0 || len(n.Inline) > 0 {
		return
	}
	if n.Digest.IsZero() {
		img.refs = append(img.refs, img.attrs.add(tree.Xattr{Name: overlayMetacopy}, img.version))
	} else {
		img.refs = append(img.refs, newAttrRef(metacopyAttr, img.attrs.object(&n.Digest)))
	}
	switch payload := n.Payload(); {
	case payload == "" && !n.NoPayload && !n.Digest.IsZero():
		img.refs = append(img.refs, newAttrRef(redirectAttr, img.attrs.object(&n.Digest)))
	case payload != "":
		img.refs = append(img.refs, img.payloadAttr(payload))
	}
}

// payloadAttr returns the redirect to a path. One that is an object's is the
// same attribute as that of a file with the object's digest.
func (img *image) payloadAttr(path string) attrRef {
	if len(path) > 3 && path[2] == '/' {
		if d, err := digest.Parse(path[:2] + path[3:]); err == nil {
			return newAttrRef(redirectAttr, img.attrs.object(&d))
		}
	}
	return img.attrs.add(tree.Xattr{Name: overlayRedirect, Value: "/" + path}, img.version)
}

// addMarkers lists the attributes that stand for whiteouts, and the one that
// hides the object store below the root.
func (img *image) addMarkers(i, start int, whiteouts bool) {
	if img.escapesWhiteout(img.inodes[i].node) {
		img.mark(start, escapedWhiteout, "")
		img.mark(start, userWhiteout, "")
	}
	if whiteouts {
		img.mark(start, escapedWhiteouts, "")
		img.mark(start, userWhiteouts, "")
		if img.version >= V1 {
			img.mark(start, escapedOpaque, "x")
			img.mark(start, userOpaque, "x")
		}
	}
	if i == 0 {
		img.mark(start, overlayOpaque, "y")
	}
}

// mark adds an attribute to those of an inode, which begin at start; see
// Dialect for what happens if it is there.
func (img *image) mark(start int, name, value string) {
	r := img.attrs.add(tree.Xattr{Name: name, Value: value}, img.version)
	if img.dialect == Mkcomposefs {
		for k, own := range img.refs[start:] {
			if img.attrs.name(own) == name {
				img.refs[start+k] = r
				return
			}
		}
	}
	img.refs = append(img.refs, r)
}
