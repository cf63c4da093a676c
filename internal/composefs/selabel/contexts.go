package selabel

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A spec is a line of file_contexts: the files it is about and their label. It
// is matched against a path with the letter of its type added.
type spec struct {
	context string
	expr    string         // regular expression for path + type letter, anchored
	prefix  string         // every match begins with this,
	suffix  string         // and ends with this
	literal bool           // nothing but prefix + any type letter matches
	size    int            // of expr, in instructions
	re      *regexp.Regexp // expr compiled, once it was needed
}

// matches reports whether the line is about key, which has the prefix.
func (s *spec) matches(key string) bool {
	if s.literal {
		return len(key) == len(s.prefix)+1
	}
	if !strings.HasSuffix(key, s.suffix) {
		return false
	}
	if s.re == nil {
		// It parsed, so it compiles: Compile fails for nothing else.
		s.re = regexp.MustCompile(s.expr)
	}
	return s.re.MatchString(key)
}

// parseContexts adds the lines of a file_contexts file.
func (l *Labeler) parseContexts(name string, data []byte) error {
	return eachLine(name, data, func(fields []string) error {
		s, err := parseSpec(fields)
		if err != nil {
			return err
		}
		l.specs = append(l.specs, s)
		l.size += int64(s.size)
		return errors.Join(limits.ContextLines.Check(int64(len(l.specs))), limits.ContextsSize.Check(l.size))
	})
}

// parseSubs adds the lines of a file_contexts.subs file: a path, and the path
// whose labels it and all below it have. A later line replaces an earlier one.
func (l *Labeler) parseSubs(name string, data []byte) error {
	return eachLine(name, data, func(fields []string) error {
		if len(fields) != 2 {
			return fmt.Errorf("%d fields; want a path and what stands for it", len(fields))
		}
		l.aliases[fields[0]] = fields[1]
		return nil
	})
}

// eachLine calls parse with the fields of each line that is neither empty nor
// a comment, and adds file and line to its error.
func eachLine(name string, data []byte, parse func(fields []string) error) error {
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		if err := limits.ContextLine.Check(int64(len(line))); err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := parse(fields); err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	return nil
}

// parseSpec returns the spec for a line "REGEX [-TYPE] CONTEXT".
func parseSpec(fields []string) (spec, error) {
	regex, kind := fields[0], "."
	if len(fields) > 1 && strings.HasPrefix(fields[1], "-") {
		kind = fields[1][1:]
		if len(kind) != 1 || !strings.Contains("bcdpls-", kind) {
			return spec{}, fmt.Errorf("unknown file type %q", fields[1])
		}
		fields = fields[1:]
	}
	if len(fields) != 2 {
		return spec{}, fmt.Errorf("cannot tell the fields apart; want a regular expression, an optional type and a context")
	}
	s := spec{context: fields[1], expr: "(?s)^(" + latin1(regex) + ")" + kind + "$"}
	tree, err := syntax.Parse(s.expr, syntax.Perl)
	if err != nil {
		return spec{}, fmt.Errorf("cannot use %q, only regular expressions as of RE2: %w", regex, err)
	}
	size := instructions(tree)
	if err := limits.ContextSize.Check(size); err != nil {
		return spec{}, fmt.Errorf("cannot use %q: %w", regex, err)
	}
	s.size = int(size)
	s.prefix, _ = literalPrefix(tree)
	s.suffix, _ = literalSuffix(tree)
	if path, ok := wholeLiteral(tree); ok && kind == "." {
		s.prefix, s.literal = path, true
	}
	return s, nil
}

// literalPrefix returns what every match of re begins with, and whether that
// is all of re.
func literalPrefix(re *syntax.Regexp) (prefix string, whole bool) {
	switch {
	case re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase == 0:
		return string(re.Rune), true
	case re.Op == syntax.OpCapture:
		return literalPrefix(re.Sub[0])
	case re.Op == syntax.OpBeginText || re.Op == syntax.OpEndText || re.Op == syntax.OpEmptyMatch:
		return "", true
	case re.Op != syntax.OpConcat:
		return "", false
	}
	for _, sub := range re.Sub {
		p, whole := literalPrefix(sub)
		if prefix += p; !whole {
			return prefix, false
		}
	}
	return prefix, true
}

// literalSuffix is literalPrefix from the other end.
func literalSuffix(re *syntax.Regexp) (suffix string, whole bool) {
	switch re.Op {
	case syntax.OpCapture:
		return literalSuffix(re.Sub[0])
	case syntax.OpConcat:
		for i := len(re.Sub) - 1; i >= 0; i-- {
			s, whole := literalSuffix(re.Sub[i])
			if suffix = s + suffix; !whole {
				return suffix, false
			}
		}
		return suffix, true
	}
	return literalPrefix(re)
}

// wholeLiteral returns the path of a spec for any type of file whose regular
// expression is a path without operators: "^(" path ").$".
func wholeLiteral(re *syntax.Regexp) (path string, ok bool) {
	if re.Op != syntax.OpConcat || len(re.Sub) != 4 || re.Sub[1].Op != syntax.OpCapture || re.Sub[2].Op != syntax.OpAnyChar {
		return "", false
	}
	body := re.Sub[1].Sub[0]
	if body.Op != syntax.OpLiteral || body.Flags&syntax.FoldCase != 0 {
		return "", false
	}
	return string(body.Rune), true
}
