package digest

import (
	"strings"
	"testing"
)

func TestSet(t *testing.T) {
	s := make(Set)
	for _, text := range []string{strings.Repeat("ab", 32), strings.Repeat("ab", 31) + "ac", "cd" + strings.Repeat("ab", 63)} {
		d, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		// The second has its beginning in common with the first.
		if got, want := s.Has(d), strings.HasSuffix(text, "ac"); got != want {
			t.Errorf("Has(%.4s…%s) = %t; want %t", text, text[60:], got, want)
		}
		if s.Add(d); !s.Has(d) {
			t.Errorf("Has(%.4s…%s) = false after Add", text, text[60:])
		}
	}
}
