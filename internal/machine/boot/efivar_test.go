package boot

import (
	"testing"
	"unicode/utf16"
)

// encodeVariable is the inverse of decodeVariable.
func encodeVariable(text string) []byte {
	data := []byte{6, 0, 0, 0}
	for _, u := range append(utf16.Encode([]rune(text)), 0) {
		data = append(data, byte(u), byte(u>>8))
	}
	return data
}

func FuzzDecodeVariable(f *testing.F) {
	f.Add(encodeVariable("sysupdate-image-1.conf"))
	f.Add([]byte{6, 0, 0})
	f.Add([]byte{6, 0, 0, 0, 0, 0xd8})
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := decodeVariable(data)
		if err != nil {
			return
		}
		if again, err := decodeVariable(encodeVariable(text)); err != nil || again != text {
			t.Errorf("decodeVariable(%q) = %q, which reads back as %q, %v", data, text, again, err)
		}
	})
}
