package layer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unique"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// Prefixes of keys in PAX records.
const (
	xattrPrefix  = "SCHILY.xattr."
	sparsePrefix = "GNU.sparse." // see sparse.go
)

// extensions are what comes before a header to say more than it can.
type extensions struct {
	longName, longLink *string // GNU
	pax                *string // records of a PAX extended header
	size               int64   // of all
}

func (x *extensions) empty() bool {
	return x.longName == nil && x.longLink == nil && x.pax == nil
}

// set keeps the data of the extended header of type typeflag. Of two of one type the
// last counts, as for GNU tar.
func (x *extensions) set(typeflag byte, data string) {
	field := &x.pax
	switch typeflag {
	case 'L':
		field = &x.longName
		data, _, _ = strings.Cut(data, "\x00")
	case 'K':
		field = &x.longLink
		data, _, _ = strings.Cut(data, "\x00")
	}
	*field = &data
}

// applyPAX changes e as the PAX records say, which come before what GNU's headers say,
// in whatever order they are there. Records of keys that are not known have no effect,
// nor have numbers that are empty.
func (e *entry) applyPAX(records string) error {
	var sp paxSparse
	for records != "" {
		key, value, rest, err := cutRecord(records)
		if err != nil {
			return err
		}
		records = rest
		if name, ok := strings.CutPrefix(key, sparsePrefix); ok {
			err = sp.apply(name, value)
		} else {
			err = e.applyRecord(key, value)
		}
		if err != nil {
			return err
		}
	}
	return sp.end(e)
}

func (e *entry) applyRecord(key, value string) error {
	var err error
	switch key {
	case "path":
		e.name = value
	case "linkpath":
		e.link = value
	case "size":
		if err = parseDecimal(key, value, &e.size); err == nil {
			err = checkSize(e.size)
		}
	case "uid":
		err = parseDecimal(key, value, &e.uid)
	case "gid":
		err = parseDecimal(key, value, &e.gid)
	case "mtime":
		if t, ok := parseTime(value); ok {
			e.mtime = t
		}
	default:
		if name, ok := strings.CutPrefix(key, xattrPrefix); ok {
			// Files have their labels in common, and names.
			e.xattrs = append(e.xattrs, tree.Xattr{Name: unique.Make(name).Value(), Value: unique.Make(value).Value()})
		}
	}
	return err
}

// checkGlobal returns an error if a global header sets anything that would change
// the entries after it. Image builders do not write such headers, and programs
// disagree on them: GNU tar applies them, others ignore them.
func checkGlobal(records string) error {
	for records != "" {
		key, _, rest, err := cutRecord(records)
		if err != nil {
			return fmt.Errorf("global PAX header: %w", err)
		}
		records = rest
		if changesEntry(key) {
			return fmt.Errorf("global PAX header sets %s for all entries after it: not supported", quote(key))
		}
	}
	return nil
}

// changesEntry reports whether applyPAX acts on records with this key.
func changesEntry(key string) bool {
	switch key {
	case "path", "linkpath", "size", "uid", "gid", "mtime":
		return true
	}
	return strings.HasPrefix(key, xattrPrefix) || strings.HasPrefix(key, sparsePrefix)
}

// cutRecord splits off the first record, "LENGTH KEY=VALUE\n", where LENGTH is
// that of all of the record.
func cutRecord(s string) (key, value, rest string, err error) {
	length, _, ok := strings.Cut(s, " ")
	n, err := strconv.ParseUint(length, 10, 32)
	if !ok || err != nil || n > uint64(len(s)) || n < uint64(len(length))+3 {
		return "", "", "", errors.New("malformed PAX record: its length is wrong")
	}
	record, rest := s[len(length)+1:n], s[n:]
	record, ok = strings.CutSuffix(record, "\n")
	if !ok {
		return "", "", "", errors.New("malformed PAX record: it does not end with a new line")
	}
	key, value, ok = strings.Cut(record, "=")
	if !ok {
		return "", "", "", errors.New("malformed PAX record: it has no =")
	}
	return key, value, rest, nil
}

func parseDecimal(key, value string, n *int64) error {
	if value == "" {
		return nil
	}
	v, err := strconv.ParseUint(value, 10, 63)
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("PAX record %s=%s is too large", key, quote(value))
	}
	if err != nil {
		return fmt.Errorf("PAX record %s=%s is not a number", key, quote(value))
	}
	*n = int64(v)
	return nil
}

// parseTime parses seconds with a fraction, of which nine digits count, and reports
// whether it is one. Before 1970 the fraction goes back in time.
func parseTime(value string) (tree.Time, bool) {
	positive, negative := strings.CutPrefix(value, "-")
	whole, fraction, _ := strings.Cut(positive, ".")
	sec, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || strings.Trim(fraction, "0123456789") != "" {
		return tree.Time{}, false
	}
	const digits = 9
	fraction = (fraction + strings.Repeat("0", digits))[:digits]
	nsec, err := strconv.ParseUint(fraction, 10, 32)
	t := tree.Time{Sec: int64(sec), Nsec: uint32(nsec)}
	if negative {
		if t.Sec = -t.Sec; t.Nsec > 0 {
			t.Sec, t.Nsec = t.Sec-1, 1e9-t.Nsec
		}
	}
	return t, err == nil
}
