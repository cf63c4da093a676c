package xz

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

var most = limits.Limit{Name: "test size", Value: 64 << 20, Unit: limits.Bytes}

// unpack decompresses a file, its blocks at the same time.
func unpack(data []byte) ([]byte, error) {
	f, err := Parse(data, most)
	if err != nil {
		return nil, err
	}
	content, errs := make([]byte, f.Size()), make([]error, f.Blocks())
	var all sync.WaitGroup
	for i := range f.Blocks() {
		all.Go(func() { errs[i] = f.Decode(i, content) })
	}
	all.Wait()
	return content, errors.Join(errs...)
}

// hello is "hello hello hello hello\n", by xz -9 --check=crc32.
const hello = "/Td6WFoAAAFpIt42AgAhARwAAAAQz1jM4AAXAAxdADQZSe6N6VYKwSGwAAAAiFkLAAEkGNvMAsKQQpkNAQAAAAABWVo="

func helloFile(t testing.TB) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(hello)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// contents are like programs, like noise, and like neither.
func contents() map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	var words bytes.Buffer
	for words.Len() < 500_000 {
		n := random.IntN(1000)
		fmt.Fprintf(&words, "%x%s", n*n, strings.Repeat("ab", n%7))
		words.Write(noise[n : n+n%13])
	}
	return map[string][]byte{
		"empty": nil, "one": {1}, "zeros": make([]byte, 1_000_000), "noise": noise, "words": words.Bytes(),
		"both": append(append(bytes.Clone(words.Bytes()[:100_000]), noise...), words.Bytes()...),
	}
}

// TestTool has files of xz(1), with what the kernel's build uses and other ways.
func TestTool(t *testing.T) {
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip(err)
	}
	for name, content := range contents() {
		for _, args := range []string{
			"--check=crc32 --lzma2=dict=1MiB", "-0", "-9e --check=none", "--check=sha256 --block-size=100000 -T2",
			"--lzma2=lc=0,lp=4,pb=0", "--lzma2=lc=4,lp=0,pb=4", "--lzma2=preset=6,lc=1,lp=2,pb=1",
		} {
			cmd := exec.Command("xz", append(strings.Fields(args), "-c")...)
			cmd.Stdin = bytes.NewReader(content)
			data, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := unpack(data); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s, %s: %d bytes, %v; want the %d bytes that were compressed", name, args, len(got), err, len(content))
			}
		}
	}
}

func TestHello(t *testing.T) {
	want := "hello hello hello hello\n"
	if got, err := unpack(helloFile(t)); err != nil || string(got) != want {
		t.Errorf("unpack = %q, %v; want %q", got, err, want)
	}
}

// TestDamaged changes each byte in turn, and cuts the file off after each.
func TestDamaged(t *testing.T) {
	whole := helloFile(t)
	for i := range whole {
		data := bytes.Clone(whole)
		data[i] ^= 0x55
		if got, err := unpack(data); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("byte %d changed: unpack = %q, %v; want an error", i, got, err)
		}
		if got, err := unpack(whole[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut off after %d: unpack = %q, %v; want an error", i, got, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, args := range []string{"--x86 --lzma2", "--delta --lzma2", "--format=lzma"} {
		cmd := exec.Command("xz", append(strings.Fields(args), "-c")...)
		cmd.Stdin = strings.NewReader("some text")
		data, err := cmd.Output()
		if err != nil {
			t.Skip(err)
		}
		if got, err := unpack(data); !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: unpack = %q, %v; want an error", args, got, err)
		}
	}
	small := limits.Limit{Name: "test size", Value: 23, Unit: limits.Bytes}
	if _, err := Parse(helloFile(t), small); err == nil || err.Error() != small.Exceeded().Error() {
		t.Errorf("Parse = %v; want %v", err, small.Exceeded())
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(helloFile(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		small := limits.Limit{Value: 1 << 20}
		file, err := Parse(data, small)
		if err != nil {
			return
		}
		content := make([]byte, file.Size())
		for i := range file.Blocks() {
			_ = file.Decode(i, content)
		}
	})
}

// FuzzDecode has the inner format, without the checksums that keep a fuzzer out.
func FuzzDecode(f *testing.F) {
	f.Add(helloFile(f)[24:44], uint16(24))
	f.Add([]byte("\x01\x00\x02abc\x00"), uint16(3))
	f.Fuzz(func(t *testing.T, data []byte, size uint16) { _ = decode(data, make([]byte, size)) })
}

func BenchmarkUnpack(b *testing.B) {
	content := contents()["words"]
	cmd := exec.Command("xz", "--check=crc32", "--lzma2=dict=1MiB", "-c")
	cmd.Stdin = bytes.NewReader(content)
	data, err := cmd.Output()
	if err != nil {
		b.Skip(err)
	}
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if _, err := unpack(data); err != nil {
			b.Fatal(err)
		}
	}
}
