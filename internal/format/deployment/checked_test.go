package deployment

import "testing"

func TestChecked(t *testing.T) {
	for _, c := range []Checked{
		{Reference: "docker://registry.example.org/os:1", ManifestDigest: "sha256:ab"},
		{"2026-12-01T00:00:00Z", "oci:a\"b", "sha256:ab", "1\n2", "2026-11-30T00:00:00Z", "arm64", 1 << 40},
	} {
		if got, err := ParseChecked(c.Encode()); err != nil || got != c {
			t.Errorf("read back %+v, %v; want %+v", got, err, c)
		}
	}
	const image = `"reference":"oci:a","manifest_digest":"sha256:ab"`
	for _, in := range []string{"", "{}", `{"reference":"a"}`, `{"manifest_digest":"a"}`, "{" + image + `,"fetch_bytes":-1}`, "{" + image + `,"fetch_bytes":1.5}`, "{" + image + `,"time":1}`} {
		if got, err := ParseChecked([]byte(in)); err == nil {
			t.Errorf("ParseChecked(%q) = %+v; want an error", in, got)
		}
	}
}

func FuzzParseChecked(f *testing.F) {
	f.Add([]byte(`{"time":"2026-12-01T00:00:00Z","reference":"oci:a","manifest_digest":"sha256:ab","fetch_bytes":12}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := ParseChecked(in)
		if err != nil {
			return
		}
		if again, err := ParseChecked(c.Encode()); err != nil || again != c {
			t.Errorf("ParseChecked(%q) = %+v; read back %+v, %v", in, c, again, err)
		}
	})
}
