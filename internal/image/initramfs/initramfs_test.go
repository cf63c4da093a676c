package initramfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/zstdframe"
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
			found, err := Find(t.Context(), bytes.NewReader(data), "usr/a", "usr/b", "usr/big", "usr")
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
	found, err := Find(t.Context(), bytes.NewReader(append(data, data...)), "usr/lib/file")
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
		"no trailer":       {whole[:bytes.Index(whole, []byte("TRAILER"))-headerSize], "it is truncated"},
		"cut off packed":   {packed[:len(packed)-3], "EOF"},
		"zstd magic":       {[]byte(zstdframe.Magic), "unexpected EOF"},
		"then zstd magic":  {append(bytes.Clone(whole), zstdframe.Magic...), "unexpected EOF"},
		"magic twice":      {[]byte(zstdframe.Magic + zstdframe.Magic), "reserved bit"},
		"no last block":    {[]byte(zstdframe.Magic + "\x00\x58"), "unexpected EOF"},
		"gzip magic":       {[]byte("\x1f\x8b"), "EOF"},
		"gzip header":      {compress(t, "gzip", whole)[:10], "unexpected EOF"},
		"packed twice":     {compress(t, "gzip", packed), "unknown format"},
		"many frames":      {bytes.Repeat(compress(t, "zstd", nil), 101), "archive count limit: at most 100 archives"},
		"many members":     {bytes.Repeat(compress(t, "gzip", nil), 101), "archive count limit: at most 100 archives"},
		"text, packed":     {compress(t, "gzip", []byte("text")), "unknown format"},
		"no header":        {append(ukitest.CpioEntry("usr", "", 0o040755), bytes.Repeat([]byte("x"), 200)...), "no header"},
		"no number":        {bytes.Replace(whole, []byte("000041ED"), []byte("zzzzzzzz"), 1), "zzzzzzzz"},
		"endless name":     {bytes.Replace(whole, []byte("00000004"), []byte("FFFFFFFF"), 1), "name of 4294967295 bytes"},
		"trailing garbage": {append(bytes.Clone(whole), "xxxxxx"...), "unknown format"},
	} {
		if found, err := Find(t.Context(), bytes.NewReader(tt.data), "usr/a"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Find = %q, %v; want an error with %q", name, found, err, tt.want)
		}
	}
}

// bomb returns what inflates to n zeros or a little more, and is less than a
// thousandth of that.
func bomb(t *testing.T, how string, n int64) io.Reader {
	t.Helper()
	const each = 64 << 20
	return bytes.NewReader(bytes.Repeat(compress(t, how, make([]byte, each)), int(n/each)+1))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestFindBomb: what a few kilobytes inflate to costs time, and nobody waits.
func TestFindBomb(t *testing.T) {
	for _, how := range []string{"gzip", "zstd"} {
		if testing.Short() && how == "zstd" {
			continue // takes seconds
		}
		began := time.Now()
		_, err := Find(t.Context(), bomb(t, how, limits.InitramfsSize.Value), "usr/a")
		var exceeded *limits.Error
		if !errors.As(err, &exceeded) || exceeded.Limit != limits.InitramfsSize {
			t.Errorf("%s: Find = %v; want %v", how, err, limits.InitramfsSize.Exceeded())
		}
		t.Logf("%s: made and refused in %v", how, time.Since(began))
	}
}

// TestFindCancelled ends while a bomb inflates, and while what is plain goes on.
func TestFindCancelled(t *testing.T) {
	why := errors.New("enough")
	for how, r := range map[string]io.Reader{"gzip": bomb(t, "gzip", 1<<30), "zstd": bomb(t, "zstd", 1<<30), "plain": zeros{}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
		began := time.Now()
		if _, err := Find(ctx, r, "usr/a"); !errors.Is(err, why) || time.Since(began) > 5*time.Second {
			t.Errorf("%s: Find = %v after %v; want %v within a second", how, err, time.Since(began), why)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add(ukitest.Cpio("usr/a", "one"))
	f.Add(compress(f, "zstd", ukitest.Cpio("usr/a", "one")))
	f.Add(compress(f, "gzip", ukitest.Cpio("usr/a", "one")))
	f.Add([]byte(zstdframe.Magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := Find(t.Context(), bytes.NewReader(data), "usr/a")
		if err == nil && len(found["usr/a"]) > maxContent {
			t.Errorf("content of %d bytes", len(found["usr/a"]))
		}
	})
}

// TestFindTruncated cuts an initramfs of several archives anywhere: one that is not
// compressed is truncated unless it ends where an archive or padding does.
func TestFindTruncated(t *testing.T) {
	early := append(ukitest.Cpio("kernel/x86/microcode/GenuineIntel.bin", "microcode"), make([]byte, 100)...)
	plain := ukitest.Cpio("usr/a", "one", "usr/b", strings.Repeat("b", 50))
	for _, tt := range []struct{ first, second []byte }{
		{early, plain}, {compress(t, "gzip", early), plain}, {plain, compress(t, "zstd", plain)},
	} {
		data := append(bytes.Clone(tt.first), tt.second...)
		for n := range len(data) + 1 {
			_, err := Find(t.Context(), bytes.NewReader(data[:n]), "usr/a", "usr/b")
			part, whole := data[:n], tt.first
			if n > len(tt.first) {
				part, whole = data[len(tt.first):n], tt.second
			}
			end := padded(int64(len(bytes.TrimRight(whole, "\x00")) + 1)) // the trailer has a NUL and padding
			want := isPlain(whole) && len(part) > 0 && int64(len(part)) < end
			if _, got := errors.AsType[*TruncatedError](err); got != want {
				t.Errorf("cut after %d of %d bytes: %v; want it truncated: %v", n, len(data), err, want)
			}
		}
	}
}

func isPlain(archive []byte) bool { return bytes.HasPrefix(archive, []byte("0707")) }

// What all archives have is found by its last element.
func TestHas(t *testing.T) {
	data := append(ukitest.Cpio("kernel/a", "x"), compress(t, "zstd", ukitest.Cpio("usr/lib/libx.so.0.1", "one", "./usr/bin/program", "two"))...)
	got, err := Has(context.Background(), bytes.NewReader(data), "libx.so*", "program", "a", "usr/bin/program", "program?")
	want := map[string]bool{"libx.so*": true, "program": true, "a": true}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("Has = %v, %v; want %v", got, err, want)
	}
	if _, err := Has(context.Background(), strings.NewReader("no archive"), "a"); !errors.Is(err, ErrFormat) {
		t.Errorf("Has = %v; want ErrFormat", err)
	}
}
