package deployment

import "testing"

func TestParseEtcMode(t *testing.T) {
	for _, m := range []EtcMode{"", EtcOverlay, EtcBind, EtcTransient, EtcNone} {
		if got, err := ParseEtcMode(string(m)); err != nil || got != m {
			t.Errorf("ParseEtcMode(%q) = %q, %v", m, got, err)
		}
		if got, want := m.Persistent(), m == EtcOverlay || m == EtcBind; got != want {
			t.Errorf("%q.Persistent() = %v; want %v", m, got, want)
		}
	}
	if got, err := ParseEtcMode("banana"); err == nil {
		t.Errorf("ParseEtcMode(banana) = %q; want an error", got)
	}
}

func TestParseConflictPolicy(t *testing.T) {
	for p, orKeep := range map[ConflictPolicy]ConflictPolicy{
		"": ConflictsKeep, ConflictsFail: ConflictsKeep, ConflictsKeep: ConflictsKeep, ConflictsNew: ConflictsNew,
	} {
		if got, err := ParseConflictPolicy(string(p)); err != nil || got != p || got.OrKeep() != orKeep {
			t.Errorf("ParseConflictPolicy(%q) = %q, %v, or %q; want or %q", p, got, err, got.OrKeep(), orKeep)
		}
	}
	if got, err := ParseConflictPolicy("ask"); err == nil {
		t.Errorf("ParseConflictPolicy(ask) = %q; want an error", got)
	}
}
