package layer

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unique"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
)

// Prefixes of keys in PAX records.
const (
	xattrPrefix  = "SCHILY.xattr."
	sparsePrefix = "GNU.sparse."
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

// set keeps the data of the extended header of type typeflag.
func (x *extensions) set(typeflag byte, data string) error {
	field := &x.pax
	switch typeflag {
	case 'L':
		field = &x.longName
		data = strings.TrimSuffix(data, "\x00")
	case 'K':
		field = &x.longLink
		data = strings.TrimSuffix(data, "\x00")
	}
	if *field != nil {
		return fmt.Errorf("two extended headers of type %q before one entry", typeflag)
	}
	*field = &data
	return nil
}

var errSparse = errors.New("sparse files are not supported")

// applyPAX changes e as the PAX records say. Records of keys that are not known
// have no effect.
func (e *entry) applyPAX(records string) error {
	for records != "" {
		key, value, rest, err := cutRecord(records)
		if err != nil {
			return err
		}
		records = rest
		if err := e.applyRecord(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (e *entry) applyRecord(key, value string) error {
	var err error
	switch key {
	case "path":
		e.name = value
	case "linkpath":
		e.link = value
	case "size":
		var n uint64
		if n, err = parseDecimal(key, value); err == nil {
			e.size, err = checkSize(n)
		}
	case "uid":
		e.uid, err = parseDecimal(key, value)
	case "gid":
		e.gid, err = parseDecimal(key, value)
	case "mtime":
		e.mtime, err = parseTime(value)
	default:
		if name, ok := strings.CutPrefix(key, xattrPrefix); ok {
			// Files have their labels in common, and names.
			e.xattrs = append(e.xattrs, composefs.Xattr{Name: unique.Make(name).Value(), Value: unique.Make(value).Value()})
		} else if strings.HasPrefix(key, sparsePrefix) {
			err = errSparse
		}
	}
	return err
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

func parseDecimal(key, value string) (uint64, error) {
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("PAX record %s=%q is not a number", key, value)
	}
	return n, nil
}

// parseTime parses seconds with a fraction, of which nine digits count. Times
// before 1970 are refused: composefs-rs refuses them too, and trees with them
// have other digests with other writers.
func parseTime(value string) (composefs.Time, error) {
	whole, fraction, _ := strings.Cut(value, ".")
	sec, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || sec > math.MaxInt64 || strings.Trim(fraction, "0123456789") != "" {
		return composefs.Time{}, fmt.Errorf("PAX record mtime=%q is not a time since 1970", value)
	}
	const digits = 9
	fraction = (fraction + strings.Repeat("0", digits))[:digits]
	nsec, err := strconv.ParseUint(fraction, 10, 32)
	return composefs.Time{Sec: int64(sec), Nsec: uint32(nsec)}, err
}
