package confd

import (
	"fmt"
	"strings"
)

// Anything is what a specifier stands for whose value only the machine knows. No text of a
// file has this character.
const Anything = "\x00"

// Specifiers are the values of specifiers, by their letters.
type Specifiers map[byte]string

// ofMachine are those of every kind of file whose values the image does not know: machine
// id, boot id, the names of the host, the kernel that runs, the architecture.
const ofMachine = "mbHlqva"

// ofRelease are those that os-release(5) has.
var ofRelease = map[byte]string{
	'A': "IMAGE_VERSION", 'B': "BUILD_ID", 'M': "IMAGE_ID", 'o': "ID", 'w': "VERSION_ID", 'W': "VARIANT_ID",
}

// OfImage returns the specifiers of every kind of file for an image whose os-release(5)
// has the variables.
func OfImage(release map[string]string) Specifiers {
	s := Specifiers{'T': "/tmp", 'V': "/var/tmp"}
	for _, c := range []byte(ofMachine) {
		s[c] = Anything
	}
	for c, name := range ofRelease {
		s[c] = release[name]
	}
	return s
}

// With returns s with more specifiers.
func (s Specifiers) With(more Specifiers) Specifiers {
	all := make(Specifiers, len(s)+len(more))
	for _, some := range []Specifiers{s, more} {
		for c, value := range some {
			all[c] = value
		}
	}
	return all
}

// Expand returns text with the values of its specifiers. Unknown letters and digits after a
// percent sign are an error, and other characters are left as they are.
func (s Specifiers) Expand(text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch value, ok := s[text[i]]; {
		case ok:
			b.WriteString(value)
		case text[i] == '%':
			b.WriteByte('%')
		case isAlphanumeric(text[i]):
			return "", fmt.Errorf("unknown specifier %%%c in %q", text[i], text)
		default:
			b.WriteByte('%')
			b.WriteByte(text[i])
		}
	}
	return b.String(), nil
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
