// Package sysusers reads sysusers.d(5): the users and groups that systemd-sysusers(8) makes
// on a machine that does not have them. It reads a line as that program does, and hides
// which groups and users a line makes besides the one that it names.
package sysusers

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/confd"
)

// A Type is what a line asks for.
type Type byte

// The types of lines.
const (
	User   Type = 'u'
	Group  Type = 'g'
	Member Type = 'm' // of the group that ID names
	Range  Type = 'r' // from which ids are taken
)

// An Entry is a line.
type Entry struct {
	Type   Type
	Locked bool   // a user who cannot log in: u!
	Name   string // "" for a range
	ID     string // as the line has it: a number, UID:GID, a path, or a group; "" if none

	Description, Home, Shell string
}

// String returns the line.
func (e Entry) String() string {
	action := string(e.Type)
	if e.Locked {
		action += "!"
	}
	words := []string{action}
	for _, field := range []string{e.Name, e.ID, e.Description, e.Home, e.Shell} {
		if field == "" {
			field = "-"
		}
		words = append(words, confd.Quote(strings.ReplaceAll(field, "%", "%%")))
	}
	return strings.Join(words, " ")
}

// ParseLine reads a line that is neither empty nor a comment.
func ParseLine(line string, specifiers confd.Specifiers) (Entry, error) {
	words, rest, err := confd.Words(line, 6, false)
	switch {
	case err != nil:
		return Entry{}, err
	case len(words) < 2:
		return Entry{}, errors.New("want a type and a name")
	case rest != "":
		return Entry{}, fmt.Errorf("more than six fields: %q", rest)
	}
	e, err := parseAction(words[0])
	if err != nil {
		return Entry{}, err
	}
	for i, field := range []*string{&e.Name, &e.ID, &e.Description, &e.Home, &e.Shell} {
		if i+1 >= len(words) || confd.Dash(words[i+1]) {
			continue
		}
		if *field, err = specifiers.Expand(words[i+1]); err != nil {
			return Entry{}, err
		}
	}
	return e, e.check()
}

func parseAction(action string) (Entry, error) {
	if action == "" {
		return Entry{}, errors.New("the type is empty")
	}
	e := Entry{Type: Type(action[0])}
	switch e.Type {
	case User, Group, Member, Range:
	default:
		return Entry{}, fmt.Errorf("unknown type %q", action)
	}
	modifiers := action[1:]
	if strings.Trim(modifiers, "!") != "" || modifiers != "" && e.Type != User {
		return Entry{}, fmt.Errorf("unknown modifier in type %q", action)
	}
	e.Locked = modifiers != ""
	return e, nil
}

// check reports what systemd-sysusers refuses.
func (e Entry) check() error {
	if e.Type != User && e.Description+e.Home+e.Shell != "" {
		return fmt.Errorf("a line of type %c has no description, home or shell", e.Type)
	}
	if e.Name != "" && !IsName(strings.ReplaceAll(e.Name, confd.Anything, "a")) {
		return fmt.Errorf("%q is not a valid name", e.Name)
	}
	if strings.ContainsAny(e.Description, ":\n\r") {
		return fmt.Errorf("description %q: want no colon", e.Description)
	}
	for _, place := range []string{e.Home, e.Shell} {
		if place != "" && !path.IsAbs(place) || strings.ContainsAny(place, ":\n\r") {
			return fmt.Errorf("%q is not an absolute path", place)
		}
	}
	if e.Type == Range {
		return e.checkRange()
	}
	if e.Name == "" {
		return errors.New("the name is missing")
	}
	return e.checkID()
}

func (e Entry) checkRange() error {
	if e.Name != "" {
		return errors.New("a range has no name: want - in its place")
	}
	first, last, isRange := strings.Cut(e.ID, "-")
	a, err := parseID(first)
	if err != nil {
		return err
	}
	if !isRange {
		return nil
	}
	b, err := parseID(last)
	if err == nil && a > b {
		err = fmt.Errorf("range %s is empty", e.ID)
	}
	return err
}

func (e Entry) checkID() error {
	if e.Type == Member {
		if !IsName(e.ID) {
			return fmt.Errorf("%q is not a valid group name", e.ID)
		}
		return nil
	}
	if e.ID == "" || path.IsAbs(e.ID) {
		return nil
	}
	id, group, both := strings.Cut(e.ID, ":")
	if both && e.Type == User {
		if _, err := parseID(group); err != nil && !IsName(group) {
			return fmt.Errorf("%q is neither a group id nor a group name", group)
		}
		if id == "-" {
			return nil
		}
	} else if both {
		id = e.ID
	}
	_, err := parseID(id)
	return err
}

// parseID reads a number that can be the id of a user. The largest of 16 and of 32 bits
// stand for "none".
func parseID(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0xffff || n == 0xffffffff || text[0] == '+' {
		return 0, fmt.Errorf("%q is not an id", text)
	}
	return uint32(n), nil
}

// maxName is the longest name of a user, UT_NAMESIZE - 1.
const maxName = 31

// IsName reports whether systemd-sysusers accepts the name of a user or group.
func IsName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}
