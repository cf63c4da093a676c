package verity

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

const (
	emptySHA256 = "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95"
	helloSHA256 = "1e2eaa4202d750a41174ee454970b92c1bc2f925b1e35076d8c7d5f56362ba64"
	helloSHA512 = "18430270729d162d4e469daca123ae61893db4b0583d8f7081e3bf4f92b88ba514e7982f10733fb6aa895195c5ae8fd2eb2c47a8be05513ce5a0c51a6f570409"
)

func TestKnownDigests(t *testing.T) {
	tests := []struct {
		alg           digest.Algorithm
		content, want string
	}{
		{digest.SHA256, "", emptySHA256},
		{digest.SHA256, "hello world", helloSHA256},
		{digest.SHA512, "hello world", helloSHA512},
	}
	for _, tt := range tests {
		if got := Sum(tt.alg, []byte(tt.content)).String(); got != tt.want {
			t.Errorf("Sum(%v, %q) = %s; want %s", tt.alg, tt.content, got, tt.want)
		}
	}
}

// sizes are around every place where a tree gets a block or a level more:
// a block of sha256 hashes covers 512 KiB, one of sha512 hashes 256 KiB.
var sizes = []int{
	1, 4095, 4096, 4097, 8192, 64 * 4096, 64*4096 + 1, 128 * 4096, 128*4096 + 1,
	64*64*4096 - 1, 64 * 64 * 4096, 64*64*4096 + 1,
}

func content(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

// TestTreeByDefinition computes the Merkle tree level by level, as the
// documentation of fs-verity in the kernel describes it.
func TestTreeByDefinition(t *testing.T) {
	for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		for _, size := range sizes {
			b := content(size)
			h := New(alg)
			h.Write(b)
			if got, want := h.clone().root(), rootByDefinition(alg, b); !bytes.Equal(got, want) {
				t.Errorf("root(%v, %d bytes) = %x; want %x", alg, size, got, want)
			}
		}
	}
}

func rootByDefinition(alg digest.Algorithm, b []byte) []byte {
	for {
		var next []byte
		for len(b) > 0 {
			block := make([]byte, 4096)
			b = b[copy(block, b):]
			h := alg.New()
			h.Write(block)
			next = h.Sum(next)
		}
		if len(next) == alg.Size() {
			return next
		}
		b = next
	}
}

// TestFsverityDigest asks the fsverity program.
func TestFsverityDigest(t *testing.T) {
	program, err := exec.LookPath("fsverity")
	if err != nil {
		t.Skip("the fsverity program is not installed")
	}
	for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		for _, size := range sizes {
			name := filepath.Join(t.TempDir(), "content")
			if err := os.WriteFile(name, content(size), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(program, "digest", "--compact", "--hash-alg="+alg.String(), name).Output()
			if err != nil {
				t.Fatalf("fsverity digest: %v", err)
			}
			if got, want := Sum(alg, content(size)).String(), strings.TrimSpace(string(out)); got != want {
				t.Errorf("Sum(%v, %d bytes) = %s; want %s", alg, size, got, want)
			}
		}
	}
}

func TestWriteInPieces(t *testing.T) {
	b := content(300_001)
	want := Sum(digest.SHA512, b)
	for _, piece := range []int{1000, 4096, 5000, 300_000} {
		h := New(digest.SHA512)
		for rest := b; len(rest) > 0; {
			n := min(piece, len(rest))
			h.Write(rest[:n])
			rest = rest[n:]
			h.Sum() // must not disturb
		}
		if got := h.Sum(); got != want {
			t.Errorf("Sum in pieces of %d = %v; want %v", piece, got, want)
		}
	}
}

func TestSumReader(t *testing.T) {
	d, n, err := SumReader(digest.SHA256, iotest.OneByteReader(strings.NewReader("hello world")))
	if err != nil || n != 11 || d.String() != helloSHA256 {
		t.Errorf("SumReader(hello world) = %v, %d, %v; want %s, 11, no error", d, n, err, helloSHA256)
	}
	broken := errors.New("broken")
	if _, _, err := SumReader(digest.SHA256, io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("SumReader(broken reader) error = %v; want %v", err, broken)
	}
}

func BenchmarkHasher(b *testing.B) {
	data := content(1 << 20)
	for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		b.Run(alg.String(), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			h := New(alg)
			for b.Loop() {
				h.Write(data)
			}
		})
	}
}

// TestSumAfterSum gives Sum contents of all sizes one after the other, since it
// uses again what it has used before.
func TestSumAfterSum(t *testing.T) {
	for _, alg := range []digest.Algorithm{digest.SHA512, digest.SHA256, digest.SHA512} {
		for i := range sizes {
			for _, size := range []int{sizes[i], sizes[len(sizes)-1-i], 0} {
				b := content(size)
				h := New(alg)
				h.Write(b)
				if got, want := Sum(alg, b), h.Sum(); got != want {
					t.Errorf("Sum(%v, %d bytes) = %s; want %s", alg, size, got, want)
				}
			}
		}
	}
}
