package tree

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// The fields of a line, composefs-dump(5).
const (
	fieldPath = iota
	fieldSize
	fieldMode
	fieldNlink
	fieldUID
	fieldGID
	fieldRdev
	fieldMtime
	fieldPayload
	fieldContent
	fieldDigest
	fieldXattrs // all that follows
	fieldCount
)

var fieldNames = [fieldCount]string{
	"path", "size", "mode", "link count", "user", "group", "device number", "modification time",
	"payload", "content", "digest", "extended attributes",
}

type fields [fieldCount][]byte

// splitLine takes a line apart at single spaces.
func splitLine(line []byte) (fields, error) {
	var f fields
	if bytes.IndexByte(line, 0) >= 0 {
		return f, errors.New("has a NUL byte")
	}
	for i := range fieldXattrs {
		end := bytes.IndexByte(line, ' ')
		if end < 0 && i < fieldDigest {
			return f, fmt.Errorf("ends before the %s", fieldNames[i+1])
		}
		if end < 0 {
			f[i], line = line, nil
		} else {
			f[i], line = line[:end], line[end+1:]
			if len(line) == 0 {
				return f, errors.New("ends with a space")
			}
		}
		if len(f[i]) == 0 {
			return f, fmt.Errorf("the %s is empty: want - if there is none", fieldNames[i])
		}
	}
	f[fieldXattrs] = line
	return f, nil
}

// parseNode fills n from the fields after the path.
func (p *dumpParser) parseNode(f *fields, n *Node) error {
	if err := n.parseNumbers(f); err != nil {
		return err
	}
	var err error
	if n.Mtime, err = parseTime(f[fieldMtime]); err != nil {
		return err
	}
	if err := p.parseXattrs(f[fieldXattrs], n); err != nil {
		return err
	}
	switch n.Type() {
	case TypeRegular:
		err = p.parseRegular(f, n)
	case TypeSymlink:
		err = p.parseSymlink(f, n)
	default:
		err = mustBeUnset(f, fieldPayload, fieldContent, fieldDigest)
	}
	if err != nil {
		return err
	}
	if t := n.Type(); t != TypeChar && t != TypeBlock && n.Rdev != 0 {
		return fmt.Errorf("device number %d, but not a device", n.Rdev)
	}
	return n.Check()
}

func (n *Node) parseNumbers(f *fields) error {
	for _, x := range []struct {
		field, base int
		to          *uint32
	}{
		{fieldMode, 8, &n.Mode}, {fieldNlink, 10, &n.Nlink}, {fieldUID, 10, &n.UID},
		{fieldGID, 10, &n.GID}, {fieldRdev, 10, &n.Rdev},
	} {
		v, err := parseNumber(f[x.field], x.base, 32)
		if err != nil {
			return fmt.Errorf("%s %w", fieldNames[x.field], err)
		}
		*x.to = uint32(v)
	}
	size, err := parseNumber(f[fieldSize], 10, 64)
	if err != nil {
		return fmt.Errorf("%s %w", fieldNames[fieldSize], err)
	}
	if n.Mode > 0o177777 {
		return fmt.Errorf("mode %q is too large", f[fieldMode])
	}
	if n.IsRegular() {
		n.Size = size
	}
	return nil
}

// parseNumber reads digits and nothing else.
func parseNumber(s []byte, base, bits int) (uint64, error) {
	if len(s) == 0 || len(s) > 22 {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	var v uint64
	for _, c := range s {
		digit := uint64(c - '0') // a huge number if c is below '0'
		if c < '0' || digit >= uint64(base) {
			return 0, fmt.Errorf("%q is not a number", s)
		}
		if v > (math.MaxUint64-digit)/uint64(base) {
			return 0, fmt.Errorf("%q is too large", s)
		}
		v = v*uint64(base) + digit
	}
	if v>>(bits-1)>>1 != 0 {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return v, nil
}

// parseTime reads seconds, a dot, and nanoseconds without leading zeros: ".1"
// is one nanosecond.
func parseTime(s []byte) (Time, error) {
	sec, nsec, ok := bytes.Cut(s, []byte{'.'})
	if !ok {
		return Time{}, fmt.Errorf("modification time %q has no dot", s)
	}
	seconds, err := strconv.ParseInt(string(sec), 10, 64)
	if err != nil || sec[0] == '+' {
		return Time{}, fmt.Errorf("modification time %q: seconds are not a number", s)
	}
	nanoseconds, err := parseNumber(nsec, 10, 32)
	if err != nil || nanoseconds > 999999999 {
		return Time{}, fmt.Errorf("modification time %q: nanoseconds are not from 0 to 999999999", s)
	}
	return Time{seconds, uint32(nanoseconds)}, nil
}

func (p *dumpParser) parseRegular(f *fields, n *Node) error {
	var err error
	if n.Digest, err = digestOf(f[fieldDigest]); err != nil {
		return err
	}
	if field := f[fieldContent]; string(field) != "-" {
		content, err := unescape(p.buf[:0], field)
		if err != nil {
			return fmt.Errorf("content: %w", err)
		}
		n.Inline = bytes.Clone(content)
	}
	field := f[fieldPayload]
	switch {
	case string(field) == "-":
		n.NoPayload = !n.Digest.IsZero()
	case isObjectPath(field, f[fieldDigest]):
		// Payload is empty then.
	default:
		payload, err := unescape(p.buf[:0], field)
		if err != nil {
			return fmt.Errorf("payload: %w", err)
		}
		if string(payload) != n.Digest.ObjectPath() {
			n.SetPayload(string(payload))
		}
	}
	return nil
}

// isObjectPath reports whether payload is the object path of the digest, which is
// known to be one.
func isObjectPath(payload, digest []byte) bool {
	return len(payload) == len(digest)+1 && len(payload) > 3 && payload[2] == '/' &&
		string(payload[:2]) == string(digest[:2]) && string(payload[3:]) == string(digest[2:])
}

func (p *dumpParser) parseSymlink(f *fields, n *Node) error {
	if string(f[fieldPayload]) != "-" {
		target, err := unescape(p.buf[:0], f[fieldPayload])
		if err != nil {
			return fmt.Errorf("target: %w", err)
		}
		n.Target = string(target)
	}
	return mustBeUnset(f, fieldContent, fieldDigest)
}

func mustBeUnset(f *fields, unset ...int) error {
	for _, i := range unset {
		if string(f[i]) != "-" {
			return fmt.Errorf("%s %q: want - for this type of file", fieldNames[i], f[i])
		}
	}
	return nil
}

// parseXattrs reads KEY=VALUE, separated by single spaces. Of several values
// for one key the last counts.
func (p *dumpParser) parseXattrs(s []byte, n *Node) error {
	if len(s) == 0 {
		return nil
	}
	p.xattrs = p.xattrs[:0]
	for len(s) > 0 {
		var field []byte
		field, s, _ = bytes.Cut(s, []byte{' '})
		key, value, ok := bytes.Cut(field, []byte{'='})
		if !ok {
			return fmt.Errorf("extended attribute %q has no =", field)
		}
		x := Xattr{}
		var err error
		if x.Name, err = p.intern(key); err != nil {
			return fmt.Errorf("extended attribute: %w", err)
		}
		if x.Value, err = p.intern(value); err != nil {
			return fmt.Errorf("extended attribute %q: %w", x.Name, err)
		}
		p.xattrs = append(p.xattrs, x)
	}
	p.xattrs = sortLastWins(p.xattrs)
	if !slices.Equal(p.previous.Xattrs(), p.xattrs) { // it is the same label, more often than not
		p.previous.setXattrs(slices.Clone(p.xattrs))
	}
	n.xattrs = p.previous.xattrs
	return nil
}

// sortLastWins sorts by name and keeps the last of those with the same name.
func sortLastWins(xattrs []Xattr) []Xattr {
	if InOrder(xattrs) {
		return xattrs
	}
	values := make(map[string]string, len(xattrs))
	var names []string
	for _, x := range xattrs {
		if _, ok := values[x.Name]; !ok {
			names = append(names, x.Name)
		}
		values[x.Name] = x.Value
	}
	slices.Sort(names)
	kept := xattrs[:0]
	for _, name := range names {
		kept = append(kept, Xattr{name, values[name]})
	}
	return kept
}

// InOrder reports whether extended attributes are sorted, and none is there twice.
func InOrder(xattrs []Xattr) bool {
	for i := 1; i < len(xattrs); i++ {
		if xattrs[i-1].Name >= xattrs[i].Name {
			return false
		}
	}
	return true
}

// intern returns the field as a string, and the same one for frequent values.
func (p *dumpParser) intern(field []byte) (string, error) {
	plain, err := unescape(p.buf[:0], field)
	if err != nil {
		return "", err
	}
	if s, ok := p.interned[string(plain)]; ok {
		return s, nil
	}
	s := string(plain)
	if len(s) <= 128 && len(p.interned) < 1<<16 {
		p.interned[s] = s
	}
	return s, nil
}
