package update

import "testing"

// What never booted is no way back while there is something that did.
func TestRollbackTarget(t *testing.T) {
	for _, tt := range []struct{ entries, booted, broken, want string }{
		{"a +b z", "a", "", "z"},
		{"a +b", "a", "", "b"},
		{"a z +b", "", "", "z"},
		{"a +b z", "a", "z", "b"},
		{"+b a z", "a", "", "a"}, // it is queued: undo that
		{"a !b", "a", "", ""},
	} {
		f, err := sketch(tt.entries, tt.booted, "", tt.broken, 0).rollbackTarget()
		got := ""
		if err == nil {
			got = string(f.Target.ID[:1])
		}
		if got != tt.want {
			t.Errorf("%s, %s is booted: back to %q, %v; want %q", tt.entries, tt.booted, got, err, tt.want)
		}
	}
}
