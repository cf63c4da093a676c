package tree

import (
	"bytes"
	"fmt"
)

const hexDigits = "0123456789abcdef"

// appendEscaped appends s as a field of a dump has it. Bytes that have a
// meaning there, or that a terminal would not show, are escaped; so are those
// of also.
func appendEscaped(b []byte, s string, also byte) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c <= ' ' || c > '~' || c == also:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendField appends s as one of the fields that are "-" when not set.
func appendField(b []byte, s string) []byte {
	switch s {
	case "":
		return append(b, '-')
	case "-":
		return append(b, `\x2d`...)
	}
	return appendEscaped(b, s, 0)
}

// unescape returns field without its escapes: field itself if there are none,
// else the text appended to buf.
func unescape(buf, field []byte) ([]byte, error) {
	if bytes.IndexByte(field, '\\') < 0 {
		return field, nil
	}
	for len(field) > 0 {
		i := bytes.IndexByte(field, '\\')
		if i < 0 {
			return append(buf, field...), nil
		}
		buf = append(buf, field[:i]...)
		c, n, err := unescapeOne(field[i:])
		if err != nil {
			return nil, err
		}
		buf = append(buf, c)
		field = field[i+n:]
	}
	return buf, nil
}

// unescapeOne returns the byte for which the escape at the beginning of s
// stands, and the length of the escape.
func unescapeOne(s []byte) (byte, int, error) {
	if len(s) < 2 {
		return 0, 0, fmt.Errorf("backslash at the end of %q", s)
	}
	switch s[1] {
	case '\\':
		return '\\', 2, nil
	case 'n':
		return '\n', 2, nil
	case 'r':
		return '\r', 2, nil
	case 't':
		return '\t', 2, nil
	case 'x':
		if len(s) >= 4 {
			hi, lo := hexValue(s[2]), hexValue(s[3])
			if hi >= 0 && lo >= 0 {
				return byte(hi<<4 | lo), 4, nil
			}
		}
		return 0, 0, fmt.Errorf("bad escape %q: want two hexadecimal digits", s[:min(4, len(s))])
	}
	return 0, 0, fmt.Errorf("unknown escape %q", s[:2])
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
