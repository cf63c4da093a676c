package printable

import (
	"encoding/json"
	"testing"
)

func TestJSON(t *testing.T) {
	for in, want := range map[string]string{
		"":                             `""`,
		"größe ☃ \"'\\ 𝄞":              `"größe ☃ \"'\\ 𝄞"`,
		"esc\x1b[31m del\x7f":          `"esc\u001b[31m del\u007f"`,
		"two\nlines\tand":              `"two\nlines\tand"`,
		"right\u202eleft csi\u009b31m": `"right\u202eleft csi\u009b31m"`,
		"tag\U000E0041 end":            `"tag\udb40\udc41 end"`,
		"line\u2028 space\u00a0":       `"line\u2028 space\u00a0"`,
		"latin\xe9":                    `"latin\ufffd"`,
	} {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		got := JSON(text)
		if string(got) != want {
			t.Errorf("JSON(%q) = %s; want %s", in, got, want)
		}
		var before, after string
		if json.Unmarshal(text, &before) != nil || json.Unmarshal(got, &after) != nil || before != after {
			t.Errorf("%s means %q; want %q", got, after, before)
		}
	}
}
