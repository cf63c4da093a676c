package deployment

import (
	"strings"
	"testing"
)

func TestSoftReboot(t *testing.T) {
	want := SoftReboot{
		Target: Target{ID: ID(strings.Repeat("a", 128)), VerityOptional: true},
		Config: "[etc]\nmount = \"overlay\"\n",
	}
	got, err := ParseSoftReboot(want.Encode())
	if err != nil || got != want {
		t.Errorf("read back %+v, %v; want %+v", got, err, want)
	}
	for _, in := range []string{"", "{}", `{"target":"x"}`, `{"config":"x"}`} {
		if got, err := ParseSoftReboot([]byte(in)); err == nil {
			t.Errorf("ParseSoftReboot(%q) = %+v; want an error", in, got)
		}
	}
}

func FuzzParseSoftReboot(f *testing.F) {
	f.Add(SoftReboot{Target: Target{ID: ID(strings.Repeat("a", 64))}, Config: "x"}.Encode())
	f.Add([]byte(`{"target":"?` + strings.Repeat("b", 128) + `","later":"x"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := ParseSoftReboot(in)
		if err != nil {
			return
		}
		if again, err := ParseSoftReboot(s.Encode()); err != nil || again != s {
			t.Errorf("ParseSoftReboot(%q) = %+v, read back %+v, %v", in, s, again, err)
		}
	})
}
