package digest

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in        string
		algorithm Algorithm
		wantErr   string
	}{
		{strings.Repeat("ab", 32), SHA256, ""},
		{strings.Repeat("0f", 64), SHA512, ""},
		{"", 0, "has 0 characters"},
		{strings.Repeat("a", 63), 0, "has 63 characters"},
		{strings.Repeat("AB", 32), 0, "not in lower case"},
		{strings.Repeat("zz", 32), 0, "invalid byte"},
	}
	for _, tt := range tests {
		d, err := Parse(tt.in)
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("Parse(%q) error = %v; want one with %q", tt.in, err, tt.wantErr)
			}
			continue
		}
		if err != nil || d.Algorithm() != tt.algorithm || d.String() != tt.in {
			t.Errorf("Parse(%q) = %v %v, %v; want the same text and %v", tt.in, d, d.Algorithm(), err, tt.algorithm)
		}
	}
}

func TestObjectPath(t *testing.T) {
	d, err := Parse("12" + strings.Repeat("ab", 31))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.ObjectPath(), "12/"+strings.Repeat("ab", 31); got != want {
		t.Errorf("ObjectPath() = %q; want %q", got, want)
	}
	if got := (Digest{}).ObjectPath(); got != "" {
		t.Errorf("zero ObjectPath() = %q; want none", got)
	}
}

func TestFromBytes(t *testing.T) {
	if _, err := FromBytes(SHA512, make([]byte, 32)); err == nil {
		t.Error("FromBytes(SHA512, 32 bytes) gives no error")
	}
	if _, err := FromBytes(7, nil); err == nil {
		t.Error("FromBytes(7) gives no error")
	}
	d, err := FromBytes(SHA256, make([]byte, 32))
	if err != nil || d.IsZero() {
		t.Errorf("FromBytes(SHA256, zeros) = %v, %v; want a digest that is not none", d, err)
	}
}

func TestAlgorithms(t *testing.T) {
	for _, a := range []Algorithm{SHA256, SHA512} {
		if got, err := ParseAlgorithm(a.String()); err != nil || got != a {
			t.Errorf("ParseAlgorithm(%q) = %v, %v; want %v", a, got, err, a)
		}
		if a.New().Size() != a.Size() {
			t.Errorf("%v: Size() = %d; its hash has %d", a, a.Size(), a.New().Size())
		}
	}
	if got := SHA512.Name(); got != "fsverity-sha512-12" {
		t.Errorf("SHA512.Name() = %q; want fsverity-sha512-12", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(strings.Repeat("ab", 32))
	f.Add(strings.Repeat("0f", 64))
	f.Add(strings.Repeat("AB", 32))
	f.Fuzz(func(t *testing.T, s string) {
		d, err := Parse(s)
		if err != nil {
			return
		}
		if d.String() != s {
			t.Errorf("Parse(%q).String() = %q", s, d)
		}
		if again, err := FromBytes(d.Algorithm(), d.Bytes()); err != nil || again != d {
			t.Errorf("FromBytes of Parse(%q) = %v, %v", s, again, err)
		}
	})
}
