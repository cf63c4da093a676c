package repo

import (
	"bytes"
	"strings"
	"testing"
)

func TestMetadata(t *testing.T) {
	tests := []struct {
		in      string
		version int
		wantErr string
	}{
		{`{"version":1,"algorithm":"fsverity-sha512-12"}`, 2, ""},
		{`{"version":1,"algorithm":"fsverity-sha256-12","features":{"read-only-compatible":["v1_erofs"]}}`, 1, ""},
		{`{"version":1,"algorithm":"fsverity-sha256-12","erofs_formats":{"default":0,"extra":[2]}}`, 0, ""},
		{`{"version":1,"algorithm":"fsverity-sha256-12","features":{"compatible":["x"]},"erofs_formats":{"default":2}}`, 2, ""},
		{`{"version":1,"algorithm":"fsverity-sha256-12","features":{"incompatible":["x"]}}`, 0, `not known here: ["x"]`},
		{`{"version":1,"algorithm":"fsverity-sha256-12","erofs_formats":{"default":3}}`, 0, "version 3"},
		{`{"version":2,"algorithm":"fsverity-sha256-12"}`, 0, "version 2"},
		{`{"version":1,"algorithm":"fsverity-sha256-16"}`, 0, "fsverity-sha256-16"},
		{`{}`, 0, "version 0"},
		{``, 0, "meta.json"},
	}
	for _, tt := range tests {
		m, err := parseMetadata([]byte(tt.in))
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("parseMetadata(%s) error = %v; want one with %q", tt.in, err, tt.wantErr)
			}
			continue
		}
		if got, verr := m.formatVersion(); err != nil || verr != nil || got != tt.version {
			t.Errorf("parseMetadata(%s) = V%d, %v, %v; want V%d", tt.in, got, err, verr, tt.version)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"version":1,"algorithm":"fsverity-sha512-12","erofs_formats":{"default":1,"extra":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMetadata(data)
		if err != nil {
			return
		}
		first, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseMetadata(first)
		if err != nil {
			t.Fatalf("parseMetadata(%s): %v", first, err)
		}
		if second, err := again.encode(); err != nil || !bytes.Equal(first, second) {
			t.Errorf("encode = %s, %v; want %s", second, err, first)
		}
	})
}
