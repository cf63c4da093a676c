package deployment

import (
	"bytes"
	"strings"
	"testing"
)

var (
	attemptsOne = ID(strings.Repeat("01", 64))
	attemptsTwo = ID(strings.Repeat("02", 64))
)

// full is a record with everything that it can have, as long as it gets in practice.
var full = Attempts{
	AttemptsCount: AttemptsCount{Trial: true, Left: 2, Done: 1, Failures: 1, Redirects: 1, Boot: "11112222-3333-4444-5555-666677778888", FailedBoot: "11112222-3333-4444-5555-666677778888", Reason: "image 0123 is damaged"},
	ID:            attemptsOne, Counted: true, Kernel: strings.Repeat("k", 64),
	Fallback: attemptsTwo, FallbackEntry: "sysupdate-image-000011-020202020202-a1b2c3.conf", FallbackKernel: strings.Repeat("f", 64), FallbackOptions: "quiet root=UUID=1 composefs=" + strings.Repeat("02", 64),
}

func TestAttempts(t *testing.T) {
	for name, want := range map[string]Attempts{
		"full": full, "alone": {ID: attemptsOne}, "short ids": {ID: attemptsOne[:64], Fallback: attemptsTwo[:64]},
	} {
		data := want.Encode()
		got, err := ParseAttempts(data)
		if err != nil || got != want || len(data) != AttemptsSize {
			t.Errorf("%s: ParseAttempts of %d bytes = %+v, %v; want %+v", name, len(data), got, err, want)
		}
		if sector := want.EncodeSector(); len(sector) != 512 || !bytes.HasPrefix(data, sector) {
			t.Errorf("%s: the sector is not the beginning of the record:\n%q", name, sector)
		}
	}
}

// A reason has one line, and the room that there is.
func TestAttemptsReason(t *testing.T) {
	a := full
	a.Reason = strings.Repeat("two\nlines=1 ", 100)
	got, err := ParseAttempts(a.Encode())
	if err != nil || !strings.HasPrefix(got.Reason, "two lines=1 two") || len(got.Reason) < 250 || got.Left != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Options that are cut off would be others.
func TestAttemptsOptions(t *testing.T) {
	a := full
	a.FallbackOptions = strings.Repeat("x", AttemptsSize)
	if got, err := ParseAttempts(a.Encode()); err != nil || got.FallbackOptions != "" || got.FallbackKernel != full.FallbackKernel {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Whatever part of a sector is old or lost, the record is the old one, the new one or none.
func TestAttemptsTorn(t *testing.T) {
	before := full.Encode()
	next := full
	next.Left, next.Done, next.Reason = 1, 2, "another reason, that is longer than before"
	after := next.Encode()
	for cut := range attemptsSector + 1 {
		for _, torn := range [][]byte{
			append(bytes.Clone(after[:cut]), before[cut:]...),
			append(bytes.Clone(before[:cut]), after[cut:]...),
			append(make([]byte, cut), before[cut:]...),
		} {
			if got, err := ParseAttempts(torn); err == nil && got != full && got != next {
				t.Fatalf("cut at %d: %+v", cut, got)
			}
		}
	}
}

func TestAttemptsRefuses(t *testing.T) {
	good := full.Encode()
	flip := bytes.Clone(good)
	flip[len(attemptsMagic)] ^= 1
	for name, data := range map[string][]byte{
		"empty": nil, "short": good[:512], "long": append(bytes.Clone(good), '\n'), "zeros": make([]byte, AttemptsSize), "a flipped bit": flip,
		"no id":        Attempts{}.Encode(),
		"bad id":       Attempts{ID: "0123"}.Encode(),
		"bad fallback": Attempts{ID: attemptsOne, Fallback: "../x"}.Encode(),
	} {
		if got, err := ParseAttempts(data); err == nil || got != (Attempts{}) {
			t.Errorf("%s: got %+v, %v; want an error", name, got, err)
		}
	}
}

func TestSpent(t *testing.T) {
	for _, tt := range []struct {
		count AttemptsCount
		want  bool
	}{
		{AttemptsCount{}, false},
		{AttemptsCount{Failures: 2}, false},
		{AttemptsCount{Failures: 3}, true},
		{AttemptsCount{Trial: true, Left: 1, Done: 2, Failures: 3}, false},
		{AttemptsCount{Trial: true, Done: 3}, true},
	} {
		if got := tt.count.Spent(); got != tt.want {
			t.Errorf("%+v: Spent() = %v", tt.count, got)
		}
	}
}

func FuzzParseAttempts(f *testing.F) {
	f.Add(full.Encode())
	f.Add(Attempts{ID: attemptsOne}.Encode())
	f.Add([]byte(attemptsMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		// The checksums would keep the fuzzer out.
		if len(data) == AttemptsSize {
			for _, end := range []int{attemptsSector, AttemptsSize} {
				start := map[int]int{attemptsSector: 0, AttemptsSize: attemptsSector}[end]
				copy(data[end-sumSize:], sumOf(string(data[start:end-sumSize])))
			}
		}
		a, err := ParseAttempts(data)
		if err != nil {
			return
		}
		again, err := ParseAttempts(a.Encode())
		if err != nil {
			t.Fatalf("%+v cannot be read again: %v", a, err)
		}
		if twice, err := ParseAttempts(again.Encode()); err != nil || twice != again {
			t.Errorf("read again %+v, and once more %+v, %v", again, twice, err)
		}
	})
}
