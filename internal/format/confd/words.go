package confd

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Errors of words.
var (
	ErrQuote  = errors.New("a quote is not closed")
	ErrEscape = errors.New("unknown escape sequence")
)

// Words takes at most n words off a line, and returns what is left of it as it is there.
// Quotes of both kinds hold a word together. After a backslash any character stands for
// itself, or for what it does in C if escapes is set.
func Words(line string, n int, escapes bool) (words []string, rest string, err error) {
	rest = strings.TrimLeft(line, whitespace)
	for len(words) < n && rest != "" {
		w := wordReader{text: rest, escapes: escapes}
		if err := w.read(); err != nil {
			return nil, "", err
		}
		words, rest = append(words, w.word.String()), strings.TrimLeft(w.text[w.at:], whitespace)
	}
	return words, rest, nil
}

// A wordReader reads one word.
type wordReader struct {
	text    string
	at      int
	escapes bool
	quote   byte // in which it is, 0 if in none
	word    strings.Builder
}

func (w *wordReader) read() error {
	for ; w.at < len(w.text); w.at++ {
		switch c := w.text[w.at]; {
		case c == '\\':
			w.at++
			if w.at == len(w.text) {
				return ErrEscape
			}
			if err := w.escaped(); err != nil {
				return err
			}
		case w.quote != 0 && c == w.quote:
			w.quote = 0
		case w.quote != 0:
			w.word.WriteByte(c)
		case c == '"' || c == '\'':
			w.quote = c
		case strings.IndexByte(whitespace, c) >= 0:
			return nil
		default:
			w.word.WriteByte(c)
		}
	}
	if w.quote != 0 {
		return ErrQuote
	}
	return nil
}

// plain are the escapes of one character, and what they stand for.
var plain = map[byte]byte{
	'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v',
	'\\': '\\', '"': '"', '\'': '\'', 's': ' ',
}

// escaped reads what follows a backslash; at is left at its last character.
func (w *wordReader) escaped() error {
	c := w.text[w.at]
	if !w.escapes {
		w.word.WriteByte(c)
		return nil
	}
	if p, ok := plain[c]; ok {
		w.word.WriteByte(p)
		return nil
	}
	switch c {
	case 'x':
		return w.number(1, 2, 16)
	case 'u':
		return w.number(1, 4, 16)
	case 'U':
		return w.number(1, 8, 16)
	}
	return w.number(0, 3, 8)
}

// number reads the digits of an escaped character, after so many characters to skip. NUL
// is none that a file name could have.
func (w *wordReader) number(skip, digits, base int) error {
	from := w.at + skip
	if from+digits > len(w.text) || strings.ContainsAny(w.text[from:from+digits], "+-_") {
		return ErrEscape
	}
	n, err := strconv.ParseUint(w.text[from:from+digits], base, 32)
	if err != nil || n == 0 || digits <= 3 && n > 0xff || n > utf8.MaxRune {
		return ErrEscape
	}
	if digits <= 3 {
		w.word.WriteByte(byte(n))
	} else {
		w.word.WriteRune(rune(n))
	}
	w.at = from + digits - 1
	return nil
}

// Quote returns a word that Words reads as text, with or without escapes.
func Quote(text string) string {
	if text == "" {
		return `""`
	}
	if !strings.ContainsAny(text, whitespace+`"'\#`) {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// Dash reports whether a word stands for nothing.
func Dash(word string) bool { return word == "" || word == "-" }
