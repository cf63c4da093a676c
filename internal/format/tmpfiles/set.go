package tmpfiles

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/confd"
)

// Kind is what the directories are called.
const Kind = "tmpfiles.d"

// A Set is what all lines of an image ask for.
type Set struct {
	image    fs.FS
	byPath   map[string]Line // those that make the path, by it
	patterns []Line          // those of them whose path is a pattern
	Problems []confd.Problem
	needs    []need
}

// A need is a line without effect unless there is a user or a group.
type need struct {
	name    string
	isGroup bool
	confd.Problem
}

// Unmet returns the lines whose user or group is not among those that there are, each once.
func (s *Set) Unmet(users, groups map[string]bool) (problems []confd.Problem) {
	for _, n := range s.needs {
		known := users
		if n.isGroup {
			known = groups
		}
		last := len(problems) - 1
		told := last >= 0 && problems[last].File == n.File && problems[last].Line == n.Line
		if !known[n.name] && !told {
			problems = append(problems, n.Problem)
		}
	}
	return problems
}

// specifiers are those of tmpfiles.d besides those of every kind of file, for the machine
// as a whole.
var specifiers = confd.Specifiers{
	'g': "root", 'G': "0", 'u': "root", 'U': "0", 'h': "/root",
	'C': "/var/cache", 'L': "/var/log", 'S': "/var/lib", 't': "/run",
}

// Load reads the files of an image that count. release has the variables of its
// os-release(5).
func Load(fsys fs.FS, release map[string]string) (Set, error) {
	files, err := confd.Files(fsys, Kind)
	if err != nil {
		return Set{}, fmt.Errorf("cannot read %s: %w", Kind, err)
	}
	s, specifiers := Set{image: fsys, byPath: make(map[string]Line)}, confd.OfImage(release).With(specifiers)
	for _, f := range files {
		for _, line := range confd.Lines(f.Text) {
			l, err := ParseLine(line.Text, specifiers)
			if err != nil {
				s.Problems = append(s.Problems, confd.Problem{File: f.Path, Line: line.Number, Err: err})
				continue
			}
			if l.Type == copies && !s.has(l.source()) {
				continue // the line is skipped
			}
			s.add(l)
			s.need(confd.Problem{File: f.Path, Line: line.Number}, l)
		}
	}
	return s, nil
}

// need notes the user and the group of a line that have names.
func (s *Set) need(p confd.Problem, l Line) {
	for _, owner := range []struct {
		name, what, line string
		isGroup          bool
	}{{l.User, "user", "u %s -", false}, {l.Group, "group", "g %s -", true}} {
		name := strings.TrimPrefix(owner.name, ":")
		_, err := strconv.ParseUint(name, 10, 32)
		if name == "" || err == nil || strings.Contains(name, confd.Anything) {
			continue
		}
		p.Err = fmt.Errorf("there is no %s %s: want a line in sysusers.d for it, such as "+owner.line, owner.what, name, name)
		s.needs = append(s.needs, need{name, owner.isGroup, p})
	}
}

// makers are the types of lines that make a path that is not there.
const makers = "fFdDvqQpLcbC"

func (s *Set) add(l Line) {
	switch _, taken := s.byPath[l.Path]; {
	case strings.IndexByte(makers, l.Type) < 0 || taken: // the first of several counts
	case strings.Contains(l.Path, confd.Anything):
		s.patterns = append(s.patterns, l)
	default:
		s.byPath[l.Path] = l
	}
}

// copies is the type of a line that makes a path by copying another.
const copies = 'C'

// source returns what a line copies: by default, what is below factory under the same path.
func (l Line) source() string {
	if l.Argument == "" {
		return factory + l.Path
	}
	return l.Argument
}

const factory = "/usr/share/factory"

// has reports whether the image has a file. What depends on the machine is taken to be there.
func (s *Set) has(p string) bool {
	if strings.ContainsAny(p, confd.Anything+"%") {
		return true
	}
	_, err := fs.Lstat(s.image, strings.TrimPrefix(path.Clean(p), "/"))
	return err == nil
}

// Makes reports whether a line makes an absolute path, or copies a directory with it.
func (s *Set) Makes(p string) bool {
	if _, ok := s.byPath[p]; ok {
		return true
	}
	for _, l := range s.patterns {
		if matches(l.Path, p) {
			return true
		}
	}
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		if l, ok := s.byPath[dir]; ok && l.Type == copies {
			return s.has(l.source() + strings.TrimPrefix(p, dir))
		}
	}
	return false
}

// Implies reports whether a line makes something below an absolute path. systemd-tmpfiles
// makes the directories above it, for root and with mode 0755.
func (s *Set) Implies(dir string) bool {
	for p := range s.byPath {
		if strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	for _, l := range s.patterns {
		for above := path.Dir(l.Path); above != "/"; above = path.Dir(above) {
			if matches(above, dir) {
				return true
			}
		}
	}
	return false
}

// matches reports whether a path is what a line with confd.Anything may stand for.
func matches(pattern, p string) bool {
	parts, names := strings.Split(pattern, "/"), strings.Split(p, "/")
	if len(parts) != len(names) {
		return false
	}
	for i, part := range parts {
		before, after, some := strings.Cut(part, confd.Anything)
		if !some && part != names[i] {
			return false
		}
		after = after[strings.LastIndex(after, confd.Anything)+1:]
		if some && (len(names[i]) < len(before)+len(after) || !strings.HasPrefix(names[i], before) || !strings.HasSuffix(names[i], after)) {
			return false
		}
	}
	return true
}
