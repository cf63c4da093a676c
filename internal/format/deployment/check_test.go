package deployment

import (
	"reflect"
	"testing"
)

func TestFailedCheckString(t *testing.T) {
	const path = "/etc/sysupdate-image/check.d/10-net"
	for want, c := range map[string]FailedCheck{
		"check 10-net failed (exit status 1): no route": {path, ExitedCheck, "1", "no route"},
		"check 10-net failed (killed by signal 9)":      {path, KilledCheck, "9", ""},
		"check 10-net failed (timed out): waiting":      {path, TimedOutCheck, "", "waiting"},
		"check 10-net failed (could not be started): x": {path, UnstartedCheck, "", "x"},
		"check 10-net failed (still running)":           {path, UnfinishedCheck, "", ""},
		"check 10-net failed (later)":                   {path, "later", "", ""},
	} {
		if got := c.String(); got != want {
			t.Errorf("%#v.String() = %q; want %q", c, got, want)
		}
	}
}

func TestHealth(t *testing.T) {
	for _, h := range []Health{
		{},
		{ID: "i", BootID: "b", Running: "/x", Failed: []FailedCheck{{"/a", ExitedCheck, "1", "\"quoted\"\t"}, {"/b", TimedOutCheck, "", ""}}},
		{BootID: "b", Warned: []FailedCheck{{Path: "/w", Result: KilledCheck, Status: "15"}}},
	} {
		if got, err := ParseHealth(h.Encode()); err != nil || !reflect.DeepEqual(got, h) {
			t.Errorf("read back %+v, %v; want %+v", got, err, h)
		}
	}
	for _, in := range []string{"", "[]", `{"running": 1}`, `{"failed_checks": [{"check": []}]}`, `{"failed_checks": [1]}`, `{"failed_checks": [{"check": []}, {}]}`} {
		if got, err := ParseHealth([]byte(in)); err == nil {
			t.Errorf("ParseHealth(%q) = %+v; want an error", in, got)
		}
	}
}

func FuzzParseHealth(f *testing.F) {
	f.Add([]byte(`{"boot_id":"b","failed_checks":[{"check":"/x","output":"y"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ParseHealth(in)
		if err != nil {
			return
		}
		again, err := ParseHealth(h.Encode())
		if err != nil || string(again.Encode()) != string(h.Encode()) {
			t.Errorf("ParseHealth(%q) = %+v; read back %+v, %v", in, h, again, err)
		}
	})
}
