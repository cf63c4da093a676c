package printable

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"/etc/ssh/sshd_config": "/etc/ssh/sshd_config",
		"/etc/größe ☃ ' \"":    "/etc/größe ☃ ' \"",
		"bad\x1b[31mname":      `"bad\x1b[31mname"`,
		"two\nlines":           `"two\nlines"`,
		"right\u202eleft":      `"right\u202eleft"`,
		"csi\u009b31m":         `"csi\u009b31m"`,
		"latin\xe9":            `"latin\xe9"`,
		`"quoted\n"`:           `"\"quoted\\n\""`,
	} {
		if got := Name(in); got != want {
			t.Errorf("Name(%q) = %s; want %s", in, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"two lines:\n\tit is \"so\"\n": "two lines:\n\tit is \"so\"\n",
		"open a\x1b]0;b\a: no\n":       `open a\x1b]0;b\a: no` + "\n",
		"é\xe9\u009b ü":                `é\xe9\u009b ü`,
		"right\u202eleft\r":            `right\u202eleft\r`,
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestTitle(t *testing.T) {
	for in, want := range map[string]string{
		"Debian GNU/Linux 13 (trixie)": "Debian GNU/Linux 13 (trixie)",
		"\x1b[31mRed\x1b[0m \r\n Hat":  "[31mRed [0m Hat",
		" \t\n":                        "",
		"Latin\xe9":                    "Latin\ufffd",
		"Wide\u00a0OS\u200b":           "Wide OS",
	} {
		if got := Title(in); got != want {
			t.Errorf("Title(%q) = %q; want %q", in, got, want)
		}
	}
	long := Title(strings.Repeat("ü ", 1<<20))
	if n := utf8.RuneCountInString(long); n > maxTitle || n < maxTitle-2 || !strings.HasSuffix(long, "ü…") {
		t.Errorf("Title of a long text = %q", long)
	}
}
