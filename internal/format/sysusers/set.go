package sysusers

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/confd"
)

// Kind is what the directories are called.
const Kind = "sysusers.d"

// A Set is what all lines of an image ask for.
type Set struct {
	Users, Groups map[string]bool // that there are once systemd-sysusers has run
	Problems      []confd.Problem
	needs         []need
}

// A need is a line without effect unless there is a group.
type need struct {
	group string
	confd.Problem
}

// Unmet returns the lines whose group is neither in a line nor among those that are there
// already.
func (s *Set) Unmet(groups map[string]bool) (problems []confd.Problem) {
	for _, n := range s.needs {
		if !s.Groups[n.group] && !groups[n.group] {
			problems = append(problems, n.Problem)
		}
	}
	return problems
}

// Load reads the files of an image that count. release has the variables of its
// os-release(5).
func Load(fsys fs.FS, release map[string]string) (Set, error) {
	files, err := confd.Files(fsys, Kind)
	if err != nil {
		return Set{}, fmt.Errorf("cannot read %s: %w", Kind, err)
	}
	s, specifiers := Set{Users: make(map[string]bool), Groups: make(map[string]bool)}, confd.OfImage(release)
	for _, f := range files {
		s.addFile(f, specifiers)
	}
	return s, nil
}

// addFile adds the lines of a file.
func (s *Set) addFile(f confd.File, specifiers confd.Specifiers) {
	for _, line := range confd.Lines(f.Text) {
		e, err := ParseLine(line.Text, specifiers)
		if err != nil {
			s.Problems = append(s.Problems, confd.Problem{File: f.Path, Line: line.Number, Err: err})
			continue
		}
		s.add(e)
		if group := e.namedGroup(); group != "" {
			err := fmt.Errorf("there is no group %s: want a line for it, such as g %s", group, group)
			s.needs = append(s.needs, need{group, confd.Problem{File: f.Path, Line: line.Number, Err: err}})
		}
	}
}

func (s *Set) add(e Entry) {
	switch e.Type {
	case User:
		if s.Users[e.Name] = true; e.ownGroup() {
			s.Groups[e.Name] = true
		}
	case Group:
		s.Groups[e.Name] = true
	case Member:
		s.Users[e.Name], s.Groups[e.Name], s.Groups[e.ID] = true, true, true
	}
}

// namedGroup returns the group that a user gets by its name, "" if it has its own, or a
// number.
func (e Entry) namedGroup() string {
	_, group, both := strings.Cut(e.ID, ":")
	if _, err := parseID(group); e.Type != User || !both || path.IsAbs(e.ID) || group == "" || err == nil {
		return ""
	}
	return group
}

// ownGroup reports whether the user gets a group of the same name: not one whose group the
// line names.
func (e Entry) ownGroup() bool {
	_, group, both := strings.Cut(e.ID, ":")
	return !both || path.IsAbs(e.ID) || group == ""
}
