package deployment

import (
	"strings"
	"testing"
)

func TestCheckPinName(t *testing.T) {
	for _, name := range []string{"good", "before-move", "v1.2_3", "2026-11", "G", strings.Repeat("x", 64)} {
		if err := CheckPinName(name); err != nil {
			t.Errorf("CheckPinName(%q) = %v", name, err)
		}
	}
	for _, name := range []string{
		"", "booted", "staged", "next", "rollback", "beef", "0", "-x", ".x", "a b", "a/b", "ü", "x\n", strings.Repeat("x", 65),
	} {
		if CheckPinName(name) == nil {
			t.Errorf("CheckPinName(%q) took it", name)
		}
	}
}

func idOf(start string) ID { return ID(start + strings.Repeat("0", 128-len(start))) }

func TestMatch(t *testing.T) {
	ids := []ID{idOf("abcd1"), idOf("abcd2"), idOf("beef")}
	pins := map[ID]string{ids[0]: "old", ids[1]: ""}
	for text, want := range map[string]ID{"old": ids[0], "abcd2": ids[1], "beef": ids[2], string(ids[1]): ids[1]} {
		if got, err := Match(text, ids, pins); err != nil || got != want {
			t.Errorf("Match(%q) = %s, %v; want %s", text, got.Short(), err, want.Short())
		}
	}
	for text, want := range map[string]string{"": "too short", "bee": "too short", "abcd": "2 deployment ids", "new": "no deployment", "cafe": "no deployment"} {
		if got, err := Match(text, ids, pins); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Match(%q) = %s, %v; want an error with %q", text, got.Short(), err, want)
		}
	}
}
