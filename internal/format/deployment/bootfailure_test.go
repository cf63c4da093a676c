package deployment

import (
	"reflect"
	"testing"
)

func TestBootFailure(t *testing.T) {
	f := BootFailure{
		ID: ID(short), Entry: "a+2-1.conf", BootID: "b", Time: "2026-08-01T00:00:00Z",
		Failed:  []FailedUnit{{Name: "x.service", Description: "X", Result: "exit-code", Status: "1"}},
		Waiting: []string{"y.service"},
	}
	if got, err := ParseBootFailure(f.Encode()); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("read back %+v, %v; want %+v", got, err, f)
	}
	for _, in := range []string{"", "{}", `{"depl_id":"x"}`} {
		if got, err := ParseBootFailure([]byte(in)); err == nil {
			t.Errorf("ParseBootFailure(%q) = %+v; want an error", in, got)
		}
	}
}

func TestFailedUnitString(t *testing.T) {
	for want, u := range map[string]FailedUnit{
		"a":                       {Name: "a"},
		"a (timeout)":             {Name: "a", Result: "timeout", Status: "0"},
		"a (exit-code, status 2)": {Name: "a", Result: "exit-code", Status: "2"},
	} {
		if got := u.String(); got != want {
			t.Errorf("%#v.String() = %q; want %q", u, got, want)
		}
	}
}

func FuzzParseBootFailure(f *testing.F) {
	f.Add([]byte(`{"depl_id":"` + short + `","failed_units":[{"unit":"x"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := ParseBootFailure(in)
		if err != nil {
			return
		}
		again, err := ParseBootFailure(b.Encode())
		if err != nil || string(again.Encode()) != string(b.Encode()) {
			t.Errorf("ParseBootFailure(%q) = %+v; read back %+v, %v", in, b, again, err)
		}
	})
}
