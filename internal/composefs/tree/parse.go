package tree

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// maxLine is longer than any line that a tree within the limits has, but for
// one with hundreds of KiB of extended attributes, which no image can hold.
const maxLine = 2 << 20

// ParseDump reads a tree from its text form, composefs-dump(5). It is strict:
// each line has all its fields, parents come before what they hold, nothing is
// there twice. Errors name the line. It holds one line of r at a time.
func ParseDump(r io.Reader) (*Node, error) {
	p := dumpParser{
		r:        bufio.NewReaderSize(r, 256<<10),
		interned: make(map[string]string),
		buf:      make([]byte, 0, 8<<10),
	}
	for {
		line, err := p.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = p.parse(line)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read dump: line %d: %w", p.number, err)
		}
	}
	if p.root == nil {
		return nil, errors.New("cannot read dump: it is empty")
	}
	if err := p.resolveLinks(); err != nil {
		return nil, fmt.Errorf("cannot read dump: %w", err)
	}
	return p.root, nil
}

type dumpParser struct {
	r      *bufio.Reader
	long   []byte // a line that does not fit in the buffer of r
	number int    // of the current line

	root    *Node
	dirs    []spelledDir // from the root to where the last line was
	pending []pendingLink

	nodes    []Node // to be handed out
	names    strings.Builder
	interned map[string]string // attribute names, and short values
	buf      []byte            // for what unescape returns
	xattrs   []Xattr
	previous Node // for its extended attributes
}

// A spelledDir is a directory and its path as the dump spells it.
type spelledDir struct {
	path []byte
	node *Node
}

// A pendingLink is a further name for a file that a later line describes.
type pendingLink struct {
	dir          *Node
	name, target string
	line         int
}

// next returns the next line without its line break. It is valid until next is
// called again.
func (p *dumpParser) next() ([]byte, error) {
	p.number++
	p.long = p.long[:0]
	for {
		part, err := p.r.ReadSlice('\n')
		if err == nil && len(p.long) == 0 {
			return part[:len(part)-1], nil
		}
		p.long = append(p.long, part...)
		switch {
		case len(p.long) > maxLine:
			return nil, fmt.Errorf("longer than %d bytes", maxLine)
		case err == bufio.ErrBufferFull:
			continue
		case err == nil:
			return p.long[:len(p.long)-1], nil
		case err == io.EOF && len(p.long) > 0:
			return p.long, nil // the last line needs no line break
		}
		return nil, err
	}
}

// parse enters what one line describes into the tree.
func (p *dumpParser) parse(line []byte) error {
	f, err := splitLine(line)
	if err != nil {
		return err
	}
	if p.root == nil {
		return p.parseRoot(&f)
	}
	dir, name, err := p.place(f[fieldPath])
	if err != nil {
		return err
	}
	if dir.Entry(name) != nil {
		return fmt.Errorf("%q is there already", f[fieldPath])
	}
	if f[fieldMode][0] == '@' {
		return p.parseLink(&f, dir, name)
	}
	n := p.newNode()
	if err := p.parseNode(&f, n); err != nil {
		return fmt.Errorf("%q: %w", f[fieldPath], err)
	}
	dir.Set(name, n)
	if n.IsDir() {
		p.dirs = append(p.dirs, spelledDir{bytes.Clone(f[fieldPath]), n})
	}
	return nil
}

func (p *dumpParser) parseRoot(f *fields) error {
	if string(f[fieldPath]) != "/" || f[fieldMode][0] == '@' {
		return fmt.Errorf("path is %q: the first is that of the root, /", f[fieldPath])
	}
	n := new(Node)
	if err := p.parseNode(f, n); err != nil {
		return err
	}
	if !n.IsDir() {
		return errors.New("the root is not a directory")
	}
	p.root = n
	p.dirs = append(p.dirs, spelledDir{nil, n})
	return nil
}

// place returns the directory and the name to which a path of the dump leads.
func (p *dumpParser) place(path []byte) (*Node, string, error) {
	if path[0] != '/' {
		return nil, "", fmt.Errorf("path %q does not begin with a slash", path)
	}
	if len(path) > MaxPath {
		if plain, err := unescape(nil, path); err != nil || len(plain) > MaxPath {
			return nil, "", fmt.Errorf("path of %d bytes: want at most %d", len(path), MaxPath)
		}
	}
	slash := bytes.LastIndexByte(path, '/')
	name, err := p.name(path[slash+1:])
	if err != nil {
		return nil, "", fmt.Errorf("path %q: %w", path, err)
	}
	dir, err := p.directory(path[:slash])
	if err != nil {
		return nil, "", fmt.Errorf("path %q: %w", path, err)
	}
	return dir, name, nil
}

// directory returns the directory that a path names, nearly always one of
// those to which the last line led.
func (p *dumpParser) directory(path []byte) (*Node, error) {
	for i := len(p.dirs) - 1; i >= 0; i-- {
		if bytes.Equal(p.dirs[i].path, path) {
			clear(p.dirs[i+1:])
			p.dirs = p.dirs[:i+1]
			return p.dirs[i].node, nil
		}
		if len(p.dirs[i].path) <= len(path) {
			break
		}
	}
	dir, err := p.find(path)
	if err != nil {
		return nil, err
	}
	if !dir.IsDir() {
		return nil, fmt.Errorf("%q is not a directory", path)
	}
	clear(p.dirs[1:])
	p.dirs = append(p.dirs[:1], spelledDir{bytes.Clone(path), dir})
	return dir, nil
}

// find returns the node at a path that is spelled as in the dump.
func (p *dumpParser) find(path []byte) (*Node, error) {
	n := p.root
	if len(path) == 0 {
		return n, nil
	}
	for part := range bytes.SplitSeq(path[1:], []byte{'/'}) {
		name, err := unescape(nil, part)
		if err != nil {
			return nil, err
		}
		if n = n.Entry(string(name)); n == nil {
			return nil, fmt.Errorf("no line for %q before", path)
		}
	}
	return n, nil
}

// parseLink enters a further name of a file.
func (p *dumpParser) parseLink(f *fields, dir *Node, name string) error {
	if _, err := parseNumber(f[fieldMode][1:], 8, 32); err != nil {
		return fmt.Errorf("mode %q: want octal digits after the @", f[fieldMode])
	}
	target, err := unescape(nil, f[fieldPayload])
	if err != nil {
		return fmt.Errorf("target of a hard link: %w", err)
	}
	link := pendingLink{dir, name, string(target), p.number}
	if resolved, err := p.resolve(link); resolved || err != nil {
		return err
	}
	p.pending = append(p.pending, link)
	return nil
}

// resolve enters link if its target is there.
func (p *dumpParser) resolve(link pendingLink) (bool, error) {
	path := strings.Trim(link.target, "/")
	parent, base := p.root, path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		parent, base = p.root.Lookup(path[:i]), path[i+1:]
	}
	if parent == nil {
		return false, nil
	}
	n := parent.Entry(base)
	if n == nil {
		return false, nil
	}
	if n.IsDir() {
		return false, fmt.Errorf("hard link to %q, which is a directory", link.target)
	}
	if home, _ := n.Home(); home == nil {
		n.SetHome(parent, base)
	}
	link.dir.Set(link.name, n)
	return true, nil
}

// resolveLinks enters the links that came before their targets.
func (p *dumpParser) resolveLinks() error {
	for _, link := range p.pending {
		if link.dir.Entry(link.name) != nil {
			return fmt.Errorf("line %d: %q is there twice", link.line, link.name)
		}
		resolved, err := p.resolve(link)
		if err == nil && !resolved {
			err = fmt.Errorf("hard link to %q, which is not described", link.target)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", link.line, err)
		}
	}
	return nil
}

// newNode allocates nodes in batches: a system has a hundred thousand.
func (p *dumpParser) newNode() *Node {
	if len(p.nodes) == 0 {
		p.nodes = make([]Node, 128)
	}
	n := &p.nodes[0]
	p.nodes = p.nodes[1:]
	return n
}

// name returns the name that a part of a path spells.
func (p *dumpParser) name(part []byte) (string, error) {
	plain, err := unescape(p.buf[:0], part)
	if err != nil {
		return "", err
	}
	// Many names share one allocation; what was written to a Builder stays.
	if p.names.Cap()-p.names.Len() < len(plain) {
		p.names = strings.Builder{}
		p.names.Grow(max(16<<10, len(plain)))
	}
	start := p.names.Len()
	p.names.Write(plain)
	name := p.names.String()[start:]
	return name, CheckName(name)
}

// digestOf reads the digest field; the zero Digest if it is "-".
func digestOf(field []byte) (digest.Digest, error) {
	if string(field) == "-" {
		return digest.Digest{}, nil
	}
	var sum [64]byte
	alg := digest.SHA256
	switch len(field) {
	case 128:
		alg = digest.SHA512
	case 64:
	default:
		return digest.Digest{}, fmt.Errorf("digest %q has %d characters: want 64 or 128", field, len(field))
	}
	for i := range len(field) / 2 {
		hi, lo := hexValue(field[2*i]), hexValue(field[2*i+1])
		if hi < 0 || lo < 0 {
			return digest.Digest{}, fmt.Errorf("digest %q is not hexadecimal", field)
		}
		sum[i] = byte(hi<<4 | lo)
	}
	return digest.FromBytes(alg, sum[:len(field)/2])
}
