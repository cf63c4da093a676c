// Package tmpfiles reads tmpfiles.d(5): the files that systemd-tmpfiles(8) makes, adjusts
// and removes at boot. It reads a line as that program does, and hides which paths a line
// is about and whether it would make them.
package tmpfiles

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/confd"
)

// A Line is what a line asks for.
type Line struct {
	Type                   byte   // such as 'd'
	Modifiers              string // such as "!"
	Path                   string // clean and absolute; with confd.Anything, a pattern
	Mode, User, Group, Age string // as the line has them, "" if it does not
	Argument               string
}

// types are those of lines, and modifiers what may follow them.
const (
	types     = "fFwdDevqQpLcbCxXrRzZtThHaAm"
	modifiers = "!+-=~^$?"
)

// String returns the line.
func (l Line) String() string {
	words := []string{string(l.Type) + l.Modifiers, quote(l.Path)}
	for _, field := range []string{l.Mode, l.User, l.Group, l.Age} {
		if field == "" {
			field = "-"
		}
		words = append(words, quote(field))
	}
	return strings.Join(append(words, l.Argument), " ")
}

func quote(text string) string { return confd.Quote(strings.ReplaceAll(text, "%", "%%")) }

// ParseLine reads a line that is neither empty nor a comment.
func ParseLine(line string, specifiers confd.Specifiers) (Line, error) {
	words, rest, err := confd.Words(line, 6, true)
	if err != nil {
		return Line{}, err
	}
	if len(words) < 2 {
		return Line{}, errors.New("want a type and a path")
	}
	var l Line
	if l.Type, l.Modifiers, err = parseAction(words[0]); err != nil {
		return Line{}, err
	}
	if l.Path, err = parsePath(words[1], specifiers); err != nil {
		return Line{}, err
	}
	for i, field := range []*string{&l.Mode, &l.User, &l.Group, &l.Age} {
		if i+2 < len(words) && !confd.Dash(words[i+2]) {
			*field = words[i+2]
		}
	}
	if l.User, err = parseOwner(l.User, specifiers); err != nil {
		return Line{}, err
	}
	if l.Group, err = parseOwner(l.Group, specifiers); err != nil {
		return Line{}, err
	}
	if !confd.Dash(rest) {
		l.Argument = rest
	}
	return l, l.check()
}

func parseAction(action string) (kind byte, rest string, err error) {
	if action == "" {
		return 0, "", errors.New("the type is empty")
	}
	if rest = action[1:]; strings.Trim(rest, modifiers) != "" {
		return 0, "", fmt.Errorf("unknown modifier in type %q", action)
	}
	if strings.IndexByte(types, action[0]) < 0 {
		return 0, "", fmt.Errorf("unknown type %q", action)
	}
	return action[0], rest, nil
}

// parsePath returns a path without what is for specifiers, slashes and an older place of
// /run.
func parsePath(text string, specifiers confd.Specifiers) (string, error) {
	p, err := specifiers.Expand(text)
	if err != nil {
		return "", err
	}
	if !path.IsAbs(p) {
		return "", fmt.Errorf("path %q is not absolute", p)
	}
	var parts []string
	for part := range strings.SplitSeq(p, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	p = "/" + strings.Join(parts, "/")
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		p = "/run/" + rest
	}
	return p, nil
}

// parseOwner returns the name of a user or group without specifiers. A dash that is left is
// a name, which nobody can have, and not a field without a value.
func parseOwner(text string, specifiers confd.Specifiers) (string, error) {
	name, err := specifiers.Expand(text)
	if err == nil && name == "-" {
		err = fmt.Errorf("%q stands for the name -, which nobody can have", text)
	}
	return name, err
}

// check reports what systemd-tmpfiles refuses.
func (l Line) check() error {
	if err := checkMode(l.Mode); err != nil {
		return err
	}
	if err := checkAge(l.Age); err != nil {
		return err
	}
	if strings.IndexByte("wtThHaAcb", l.Type) >= 0 && l.Argument == "" {
		return fmt.Errorf("a line of type %c needs an argument", l.Type)
	}
	if strings.IndexByte("cb", l.Type) >= 0 && !isDevice(l.Argument) {
		return fmt.Errorf("%q is not the number of a device, MAJOR:MINOR", l.Argument)
	}
	if l.Type == 'C' && l.Argument != "" && !path.IsAbs(l.Argument) {
		return fmt.Errorf("source %q is not absolute", l.Argument)
	}
	return nil
}

// checkMode reads an octal mode, after characters that say how it counts.
func checkMode(mode string) error {
	digits := strings.TrimLeft(mode, "~:")
	if mode == "" {
		return nil
	}
	if n, err := strconv.ParseUint(digits, 8, 32); err != nil || n > 0o7777 {
		return fmt.Errorf("%q is not a mode", mode)
	}
	return nil
}

func isDevice(text string) bool {
	major, minor, ok := strings.Cut(text, ":")
	_, err := strconv.ParseUint(major, 10, 32)
	_, errMinor := strconv.ParseUint(minor, 10, 32)
	return ok && err == nil && errMinor == nil
}

// units are those of a span of time, see systemd.time(7).
var units = map[string]bool{
	"": true, "usec": true, "us": true, "µs": true, "μs": true, "nsec": true, "ns": true, "msec": true, "ms": true,
	"seconds": true, "second": true, "sec": true, "s": true, "minutes": true, "minute": true, "min": true, "m": true,
	"hours": true, "hour": true, "hr": true, "h": true, "days": true, "day": true, "d": true,
	"weeks": true, "week": true, "w": true, "months": true, "month": true, "M": true, "years": true, "year": true, "y": true,
}

// checkAge reads an age: which times count, and a span of time.
func checkAge(age string) error {
	if age == "" {
		return nil
	}
	text := strings.TrimPrefix(age, "~")
	if by, span, ok := strings.Cut(text, ":"); ok {
		if strings.Trim(by, "abcmABCM") != "" {
			return fmt.Errorf("%q is not an age", age)
		}
		text = span
	}
	if text == "" || text == "infinity" {
		return nil
	}
	for text != "" {
		text = strings.TrimLeft(text, " ")
		rest := strings.TrimLeft(text, "0123456789")
		number := len(text) - len(rest)
		rest = strings.TrimLeft(strings.TrimLeft(rest, "."), "0123456789")
		rest = strings.TrimLeft(rest, " ")
		end := strings.IndexAny(rest, "0123456789 ")
		if end < 0 {
			end = len(rest)
		}
		if number == 0 || !units[rest[:end]] {
			return fmt.Errorf("%q is not an age", age)
		}
		text = rest[end:]
	}
	return nil
}
