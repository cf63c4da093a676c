package layer

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

const blockSize = 512

// A header is a header block, see tar(5) of libarchive and "ustar Interchange
// Format" in POSIX's pax.
type header []byte

func (h header) name() string     { return cString(h[0:100]) }
func (h header) linkName() string { return cString(h[157:257]) }
func (h header) typeflag() byte   { return h[156] }

func (h header) mode() (int64, error) { return parseNumber("mode", h[100:108]) }
func (h header) uid() (int64, error)  { return parseNumber("uid", h[108:116]) }
func (h header) gid() (int64, error)  { return parseNumber("gid", h[116:124]) }

// mtime may be negative, in GNU's binary form. No image is worth refusing for a time:
// an implausible one becomes 1970.
func (h header) mtime() int64 {
	n, err := parseNumber("mtime", h[136:148])
	if err != nil {
		return 0
	}
	return n
}

func (h header) size() (int64, error) {
	n, err := parseNumber("size", h[124:136])
	if err != nil {
		return 0, err
	}
	return n, checkSize(n)
}

// checkSize returns an error unless that many bytes and their padding can be counted.
func checkSize(n int64) error {
	if n < 0 || n > math.MaxInt64-blockSize {
		return fmt.Errorf("size is negative or too large: %d", n)
	}
	return nil
}

// isUstar and isGNU say which of the formats the magic tells. A header of
// neither is of Seventh Edition's tar.
func (h header) isUstar() bool { return string(h[257:265]) == "ustar\x0000" }
func (h header) isGNU() bool   { return string(h[257:265]) == "ustar  \x00" }

// prefix goes, with a slash, before the name.
func (h header) prefix() string {
	if !h.isUstar() {
		return ""
	}
	return cString(h[345:500])
}

// device returns the numbers of a device, packed as glibc's makedev does it.
func (h header) device() (uint32, error) {
	if !h.isUstar() && !h.isGNU() {
		return 0, errors.New("device without numbers")
	}
	major, err := parseOctal("major", h[329:337])
	if err != nil {
		return 0, err
	}
	minor, err := parseOctal("minor", h[337:345])
	if err != nil {
		return 0, err
	}
	// Linux itself has 12 bits for the one and 20 for the other.
	if major > 0xfff || minor > 0xfffff {
		return 0, fmt.Errorf("no device can have the numbers %d:%d", major, minor)
	}
	return uint32(minor&0xff | major<<8 | minor&^0xff<<12), nil
}

func (h header) checkSum() error {
	want, err := parseOctal("checksum", h[148:156])
	if err != nil {
		return fmt.Errorf("not a tar header: %w", err)
	}
	unsigned, signed := int64(8*' '), int64(8*' ')
	for i, b := range h {
		if i < 148 || i >= 156 {
			unsigned += int64(b)
			signed += int64(int8(b)) // as Sun and old systems have it
		}
	}
	if want != unsigned && want != signed {
		return fmt.Errorf("not a tar header: checksum is %d, want %d", unsigned, want)
	}
	return nil
}

func isZero(block []byte) bool {
	return len(bytes.TrimLeft(block, "\x00")) == 0
}

// cString returns what comes before the first NUL.
func cString(field []byte) string {
	s, _, _ := bytes.Cut(field, []byte{0})
	return string(s)
}

// parseNumber parses a number in octal or, as GNU tar writes large ones, in
// binary with the top bit set. Negative ones are in two's complement.
func parseNumber(what string, field []byte) (int64, error) {
	if field[0]&0x80 == 0 {
		return parseOctal(what, field)
	}
	n := int64(0)
	if field[0]&0x40 != 0 {
		n = -1
	}
	first := int64(int8(field[0]<<1) >> 1) // without the bit that tells the form
	for i, b := range field {
		if n > math.MaxInt64>>8 || n < math.MinInt64>>8 {
			return 0, fmt.Errorf("%s is too large: %x", what, field)
		}
		n = n<<8 | int64(b)
		if i == 0 {
			n = first
		}
	}
	return n, nil
}

func parseOctal(what string, field []byte) (int64, error) {
	s := strings.Trim(cString(field), " \t\n\v\f\r")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 8, 63)
	if err != nil {
		return 0, fmt.Errorf("%s %q is not an octal number", what, s)
	}
	return int64(n), nil
}
