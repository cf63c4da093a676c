package ui

import (
	"bytes"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"a b": "a b", "ü": "ü", "\x1b[2J": `"\x1b[2J"`, "a\nb": `"a\nb"`, `a"b`: `a"b`, "\xff": `"\xff"`,
	} {
		if got := Name(name); got != want {
			t.Errorf("Name(%q) = %s; want %s", name, got, want)
		}
	}
}

// The recovery key is for a person, not for what reads results.
func TestPrintRecoveryKey(t *testing.T) {
	var out, told bytes.Buffer
	s := Screen{Out: &out, Err: &told}
	s.PrintRecoveryKey("")
	if told.Len() > 0 {
		t.Errorf("without a key: %q; want nothing", &told)
	}
	s.PrintRecoveryKey("abcd-efgh")
	if !strings.Contains(told.String(), "abcd-efgh\n") || out.Len() > 0 || s.ErrOnTerminal() {
		t.Errorf("%q, and as results %q; want the key beside results", &told, &out)
	}
}
