package deployment

import (
	"reflect"
	"testing"
)

func TestBootFailure(t *testing.T) {
	f := BootFailure{
		ID: ID(short), Entry: "a+2-1.conf", BootID: "b", Time: "2026-08-01T00:00:00Z",
		Failed:  []FailedUnit{{Name: "x.service", Description: "X", Result: "exit-code", Status: "1"}},
		Waiting: []string{"y.service"}, Reason: "it never reached the initramfs",
		Checks: []FailedCheck{{Path: "/c", Result: ExitedCheck, Status: "1", Output: "o"}},
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

func TestWhy(t *testing.T) {
	check := []FailedCheck{{Path: "/d/net", Result: TimedOutCheck}}
	runner := FailedUnit{Name: HealthCheckService, Result: "exit-code", Status: "1"}
	for want, f := range map[string]BootFailure{
		"": {},
		"it was still waiting for a.service, b.mount":                       {Waiting: []string{"a.service", "b.mount"}},
		"the root was not found":                                            {Reason: "the root was not found"},
		"a.service (timeout), b.service failed":                             {Failed: []FailedUnit{{Name: "a.service", Result: "timeout"}, {Name: "b.service"}}, Waiting: []string{"c"}},
		"check net failed (timed out)":                                      {Checks: check, Failed: []FailedUnit{runner}},
		"check net failed (timed out); a.service failed":                    {Checks: check, Failed: []FailedUnit{runner, {Name: "a.service"}}},
		"sysupdate-image-health-check.service (exit-code, status 1) failed": {Failed: []FailedUnit{runner}},
	} {
		if got := f.Why(); got != want {
			t.Errorf("Why of %+v is %q; want %q", f, got, want)
		}
	}
}

func FuzzParseBootFailure(f *testing.F) {
	f.Add([]byte(`{"depl_id":"` + short + `","failed_units":[{"unit":"x"}],"failed_checks":[{"check":"/x"}],"reason":"r"}`))
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
