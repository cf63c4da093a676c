// Package grubenv has the format of GRUB's environment block, a file of a fixed size with
// variables. GRUB reads and writes it in place, so it must keep its size.
package grubenv

import (
	"errors"
	"strings"
)

// Size is the size of an environment block, in bytes.
const Size = 1024

// signature is its first line.
const signature = "# GRUB Environment Block\n"

// Errors of Set.
var (
	ErrNotABlock = errors.New("not a GRUB environment block")
	ErrNoRoom    = errors.New("the GRUB environment block has no room")
)

// Set returns the block with a variable that has the value, and all others as they are.
func Set(block []byte, name, value string) ([]byte, error) {
	text, ok := strings.CutPrefix(string(block), signature)
	if !ok || len(block) != Size {
		return nil, ErrNotABlock
	}
	var b strings.Builder
	b.WriteString(signature)
	for line := range strings.Lines(text) {
		if strings.HasSuffix(line, "\n") && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, name+"=") {
			b.WriteString(line)
		}
	}
	b.WriteString(name + "=" + escape(value) + "\n")
	if b.Len() > Size {
		return nil, ErrNoRoom
	}
	b.WriteString(strings.Repeat("#", Size-b.Len()))
	return []byte(b.String()), nil
}

// Empty returns a block without variables.
func Empty() []byte {
	return []byte(signature + strings.Repeat("#", Size-len(signature)))
}

// Get returns the value of a variable in a block, "" if it is not there.
func Get(block []byte, name string) (string, error) {
	text, ok := strings.CutPrefix(string(block), signature)
	if !ok || len(block) != Size {
		return "", ErrNotABlock
	}
	for text != "" {
		line, rest := cutLine(text)
		text = rest
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return unescape(value), nil
		}
	}
	return "", nil
}

// cutLine returns the first line of a text without its end, and the rest. A backslash protects
// the character after it.
func cutLine(text string) (line, rest string) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '\n':
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

func unescape(value string) string {
	return strings.NewReplacer(`\\`, `\`, "\\\n", "\n").Replace(value)
}

// escape protects what ends a value.
func escape(value string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", "\\\n").Replace(value)
}
