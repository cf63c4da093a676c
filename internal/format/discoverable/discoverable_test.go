package discoverable

import (
	"strings"
	"testing"
)

func TestRootType(t *testing.T) {
	seen := make(map[string]string)
	for arch := range rootTypes {
		got := RootType(arch)
		if len(got) != 36 || strings.ToLower(got) != got {
			t.Errorf("RootType(%s) = %q", arch, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("RootType is the same for %s and %s", arch, other)
		}
		seen[got] = arch
	}
	if got := RootType("pdp11"); got != "" {
		t.Errorf("RootType of an architecture that has none = %q", got)
	}
}
