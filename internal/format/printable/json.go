package printable

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON returns JSON text with escapes for the characters in its strings that a terminal
// would not show. It is the same to a program.
func JSON(text []byte) []byte {
	var out []byte
	done := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if unseen(r) && r != '\n' {
			out = append(out, text[done:i]...)
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return text
	}
	return append(out, text[done:]...)
}
