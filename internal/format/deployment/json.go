package deployment

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The records of this package are JSON (RFC 8259), and read in early boot and at
// shutdown. encoding/json alone is an eighth of a program that runs there, so
// the little that is needed is here; tests compare it with encoding/json.

// maxJSONDepth bounds how deep values may be nested.
const maxJSONDepth = 32

var errJSONEnd = errors.New("unexpected end")

// parseJSON returns the value that a JSON text holds: a string, bool, nil,
// jsonNumber, []any or map[string]any. Of a name that an object has twice, the
// last value counts.
func parseJSON(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	p := jsonParser{rest: string(data)}
	v, err := p.value(0)
	if err == nil {
		p.space()
		if p.rest != "" {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("byte %d: %w", len(data)-len(p.rest), err)
	}
	return v, nil
}

// A jsonNumber is a number as it is written.
type jsonNumber string

type jsonParser struct{ rest string }

func (p *jsonParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take takes prefix off the rest if that begins with it.
func (p *jsonParser) take(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	p.rest = rest
	return ok
}

func (p *jsonParser) value(depth int) (any, error) {
	p.space()
	switch {
	case depth > maxJSONDepth:
		return nil, errors.New("nested too deep")
	case p.rest == "":
		return nil, errJSONEnd
	case p.take("true"):
		return true, nil
	case p.take("false"):
		return false, nil
	case p.take("null"):
		return nil, nil
	case p.take("{"):
		return p.object(depth)
	case p.take("["):
		return p.array(depth)
	case p.rest[0] == '"':
		return p.text()
	}
	return p.number()
}

func (p *jsonParser) object(depth int) (any, error) {
	object := make(map[string]any)
	err := p.list("}", func() error {
		name, err := p.text()
		if err != nil {
			return err
		}
		if p.space(); !p.take(":") {
			return errors.New("want a colon")
		}
		object[name], err = p.value(depth + 1)
		return err
	})
	return object, err
}

func (p *jsonParser) array(depth int) (any, error) {
	array := []any{}
	err := p.list("]", func() error {
		v, err := p.value(depth + 1)
		array = append(array, v)
		return err
	})
	return array, err
}

// list reads items with commas between them until end.
func (p *jsonParser) list(end string, item func() error) error {
	if p.space(); p.take(end) {
		return nil
	}
	for {
		p.space()
		if err := item(); err != nil {
			return err
		}
		p.space()
		switch {
		case p.take(end):
			return nil
		case p.rest == "":
			return errJSONEnd
		case !p.take(","):
			return errors.New("want a comma or " + end)
		}
	}
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (p *jsonParser) number() (any, error) {
	start := p.rest
	p.take("-")
	if !p.take("0") && !p.digits() {
		return nil, errors.New("want a value")
	}
	if p.take(".") && !p.digits() {
		return nil, errors.New("want a digit")
	}
	if p.take("e") || p.take("E") {
		if !p.take("+") {
			p.take("-")
		}
		if !p.digits() {
			return nil, errors.New("want a digit")
		}
	}
	return jsonNumber(start[:len(start)-len(p.rest)]), nil
}

func (p *jsonParser) digits() bool {
	rest := strings.TrimLeft(p.rest, "0123456789")
	some := len(rest) < len(p.rest)
	p.rest = rest
	return some
}

func (p *jsonParser) text() (string, error) {
	if !p.take(`"`) {
		return "", errors.New("want a string")
	}
	var b strings.Builder
	for {
		i := strings.IndexFunc(p.rest, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' })
		if i < 0 {
			return "", errJSONEnd
		}
		b.WriteString(p.rest[:i])
		p.rest = p.rest[i:]
		switch {
		case p.take(`"`):
			return b.String(), nil
		case !p.take(`\`):
			return "", errors.New("control character in a string")
		}
		if err := p.escape(&b); err != nil {
			return "", err
		}
	}
}

// jsonEscapes are the characters that may follow a backslash, and what they
// stand for.
var jsonEscapes = map[byte]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// escape reads what follows a backslash.
func (p *jsonParser) escape(b *strings.Builder) error {
	if p.rest == "" {
		return errJSONEnd
	}
	if c, ok := jsonEscapes[p.rest[0]]; ok {
		b.WriteByte(c)
		p.rest = p.rest[1:]
		return nil
	}
	r, ok := p.unicode()
	if !ok {
		return errors.New("bad escape in a string")
	}
	if utf16.IsSurrogate(r) {
		before := p.rest
		low, ok := rune(0), false
		if p.take(`\`) {
			low, ok = p.unicode()
		}
		if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
			r = pair
		} else {
			p.rest, r = before, utf8.RuneError // half of a pair
		}
	}
	b.WriteRune(r)
	return nil
}

// unicode reads u and four hexadecimal digits.
func (p *jsonParser) unicode() (rune, bool) {
	if len(p.rest) < 5 || p.rest[0] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(p.rest[1:5], 16, 16)
	if err != nil {
		return 0, false
	}
	p.rest = p.rest[5:]
	return rune(v), true
}

// quoteJSON returns s as a JSON string. What is not UTF-8 is replaced.
func quoteJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"', r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// A jsonRecord is an object whose members are read one by one. The first one
// that has another type than expected is in err.
type jsonRecord struct {
	members map[string]any
	err     error
}

func parseRecord(data []byte) (*jsonRecord, error) {
	v, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	members, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("want an object")
	}
	return &jsonRecord{members: members}, nil
}

// eachObject calls do for the objects in a member that is a list of them.
func eachObject(r *jsonRecord, name string, do func(*jsonRecord)) {
	for _, v := range jsonMember[[]any](r, name) {
		members, ok := v.(map[string]any)
		if !ok && r.err == nil {
			r.err = fmt.Errorf("%s has the wrong type", name)
		}
		object := &jsonRecord{members: members, err: r.err}
		do(object)
		r.err = object.err
	}
}

// jsonMember returns a member, the zero value if it is missing or null.
func jsonMember[T any](r *jsonRecord, name string) T {
	v, ok := r.members[name].(T)
	if !ok && r.members[name] != nil && r.err == nil {
		r.err = fmt.Errorf("%s has the wrong type", name)
	}
	return v
}
