package terminal

import (
	"os/exec"
	"strings"
	"testing"
)

func TestScreen(t *testing.T) {
	tests := []struct{ about, text, want string }{
		{"lines", "one\r\ntwo\r\n", "one\ntwo\n"},
		{"overwritten", "one\rtw", "twe\n"},
		{"erased", "above\r\nlonger\r\x1b[Jnew", "above\nnew\n"},
		{"broken", "0123456789abc", "0123456789\nabc\n"},
		{"full", "0123456789\rx", "x123456789\n"},
		{"full, then below", "0123456789\r\nx", "0123456789\nx\n"},
		{"up in a line", "0123456789abc\r\x1b[1A\x1b[Jx", "x\n"},
		{"up to another line", "one\r\ntwo\x1b[1Ax", "onex\ntwo\n"},
		{"wide", "更新系统更新", "更新系统更\n新\n"},
		{"wide in the last column", "a更新系统更新", "a更新系统\n更新\n"},
		{"combining", "e\u0301x\rf", "fx\n"},
		{"split sequence", "a\x1b|[|J", "a\n"},
		{"other sequences", "\x1b]9;4;1;50\x1b\\a", "a\n"},
	}
	for _, tt := range tests {
		s := NewScreen(10)
		for _, part := range strings.Split(tt.text, "|") {
			s.Write([]byte(part))
		}
		if got := s.String(); got != tt.want || len(s.Unknown) > 0 {
			t.Errorf("%s: got %q, unknown %q; want %q", tt.about, got, s.Unknown, tt.want)
		}
	}
}

func TestResize(t *testing.T) {
	s := NewScreen(20)
	s.Write([]byte("above\r\n0123456789abc"))
	s.Resize(5)
	if got, want := s.String(), "above\n01234\n56789\nabc\n"; got != want {
		t.Errorf("after it got narrower: %q; want %q", got, want)
	}
	s.Write([]byte("\r\x1b[2A\x1b[Jx"))
	if got, want := s.String(), "above\nx\n"; got != want {
		t.Errorf("erased after it got narrower: %q; want %q", got, want)
	}
}

func TestStart(t *testing.T) {
	term := Start(t, exec.Command("sh", "-c", "stty size; read x; echo $x; trap 'exit 3' INT; read x"), 33)
	term.WaitFor("24 33")
	term.Type("key\n")
	term.WaitFor("key\nkey")
	term.Type("\x03")
	if code := term.Wait(); code != 3 {
		t.Errorf("exit status %d after Ctrl-C; want 3", code)
	}
}
