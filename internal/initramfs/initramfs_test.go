package initramfs

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sysupdate-image/sysupdate-image/internal/uki/ukitest"
)

func compress(t testing.TB, how string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch how {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out)
	default:
		return data
	}
	if err == nil {
		_, err = w.Write(data)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// incompressible returns text that compresses to several blocks.
func incompressible(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

func TestFind(t *testing.T) {
	early := ukitest.Cpio("kernel/x86/microcode/GenuineIntel.bin", "microcode")
	for _, first := range []string{"", "gzip", "zstd"} {
		for _, second := range []string{"", "gzip", "zstd"} {
			data := append(bytes.Clone(early), make([]byte, 508)...)
			data = append(data, compress(t, first, ukitest.Cpio("large", incompressible(500_000), "./usr/a", "one", "usr/none", "x"))...)
			data = append(data, make([]byte, 3)...)
			data = append(data, compress(t, second, append(ukitest.Cpio("usr/a", "two", "usr/b", ""), ukitest.Cpio("/usr/big", strings.Repeat("x", maxContent+1))...))...)
			data = append(data, make([]byte, 1000)...)
			found, err := Find(bytes.NewReader(data), "usr/a", "usr/b", "usr/big", "usr")
			want := map[string]string{"usr/a": "two", "usr/b": "", "usr/big": ""}
			got := make(map[string]string)
			for name, content := range found {
				got[name] = string(content)
			}
			if err != nil || !maps.Equal(got, want) || found["usr/big"] != nil || found["usr/b"] == nil {
				t.Errorf("%q then %q: Find = %q, %v; want %q", first, second, got, err, want)
			}
		}
	}
}

// TestFindFromTools has an archive of cpio(1), compressed by zstd(1) as dracut
// does.
func TestFindFromTools(t *testing.T) {
	for _, tool := range []string{"cpio", "zstd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	cmd := exec.Command("sh", "-ec", `mkdir -p usr/lib && echo hello >usr/lib/file
find . | cpio --quiet -o -H newc | zstd -q -19 -T2`)
	cmd.Dir = t.TempDir()
	data, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	found, err := Find(bytes.NewReader(append(data, data...)), "usr/lib/file")
	if err != nil || string(found["usr/lib/file"]) != "hello\n" {
		t.Errorf("Find = %q, %v; want the file", found, err)
	}
}

func TestFindErrors(t *testing.T) {
	whole := ukitest.Cpio("usr/a", "one")
	packed := compress(t, "zstd", whole)
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"text":             {[]byte("an initramfs"), "unknown format"},
		"xz":               {[]byte("\xfd7zXZ\x00xxxx"), "unknown format"},
		"cut off":          {whole[:len(whole)/2], "unexpected EOF"},
		"cut off packed":   {packed[:len(packed)-3], "EOF"},
		"text, packed":     {compress(t, "gzip", []byte("text")), "unknown format"},
		"no header":        {append(ukitest.CpioEntry("usr", "", 0o040755), bytes.Repeat([]byte("x"), 200)...), "no header"},
		"no number":        {bytes.Replace(whole, []byte("000041ED"), []byte("zzzzzzzz"), 1), "zzzzzzzz"},
		"endless name":     {bytes.Replace(whole, []byte("00000004"), []byte("FFFFFFFF"), 1), "name of 4294967295 bytes"},
		"trailing garbage": {append(bytes.Clone(whole), "xxxxxx"...), "unknown format"},
	} {
		if found, err := Find(bytes.NewReader(tt.data), "usr/a"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Find = %q, %v; want an error with %q", name, found, err, tt.want)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add(ukitest.Cpio("usr/a", "one"))
	f.Add(compress(f, "zstd", ukitest.Cpio("usr/a", "one")))
	f.Add(compress(f, "gzip", ukitest.Cpio("usr/a", "one")))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := Find(bytes.NewReader(data), "usr/a")
		if err == nil && len(found["usr/a"]) > maxContent {
			t.Errorf("content of %d bytes", len(found["usr/a"]))
		}
	})
}
