package ui

import "testing"

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"a b": "a b", "ü": "ü", "\x1b[2J": `"\x1b[2J"`, "a\nb": `"a\nb"`, `a"b`: `a"b`, "\xff": `"\xff"`,
	} {
		if got := Name(name); got != want {
			t.Errorf("Name(%q) = %s; want %s", name, got, want)
		}
	}
}
