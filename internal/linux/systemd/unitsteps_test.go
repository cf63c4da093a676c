package systemd

import (
	"slices"
	"testing"
	"time"
)

func TestUnitSteps(t *testing.T) {
	const text = `{"MESSAGE_ID":"7d4958e842da4a758f6c1cdc7b36dcc5","UNIT":"a.service","__MONOTONIC_TIMESTAMP":"1000"}
{"MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf","UNIT":"basic.target","__MONOTONIC_TIMESTAMP":"1500"}
{"MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf","UNIT":"a.service","__MONOTONIC_TIMESTAMP":"2000"}
not JSON
{"MESSAGE_ID":"7d4958e842da4a758f6c1cdc7b36dcc5","UNIT":"b.service","__MONOTONIC_TIMESTAMP":"2500"}
{"MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf","UNIT":"b.service","__MONOTONIC_TIMESTAMP":"9000"}
`
	want := []UnitStep{{"a.service", time.Millisecond, 2 * time.Millisecond}}
	if got := unitSteps([]byte(text), 5*time.Millisecond); !slices.Equal(got, want) {
		t.Errorf("unitSteps = %v; want %v", got, want)
	}
}

func FuzzUnitSteps(f *testing.F) {
	f.Add([]byte(`{"MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf","UNIT":"a.service","__MONOTONIC_TIMESTAMP":"2000"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, s := range unitSteps(text, time.Second) {
			if s.End >= time.Second {
				t.Errorf("a step ends after the initramfs: %+v", s)
			}
		}
	})
}
