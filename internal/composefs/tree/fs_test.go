package tree

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

func TestFS(t *testing.T) {
	object, err := digest.FromBytes(digest.SHA256, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	root := &Node{Mode: TypeDir | 0o755}
	etc := &Node{Mode: TypeDir | 0o755}
	etc.Set("hostname", &Node{Mode: TypeRegular | 0o644, Size: 5, Inline: []byte("host\n")})
	etc.Set("large", &Node{Mode: TypeRegular | 0o4755, Size: 11, Digest: object})
	root.Set("etc", etc)
	fsys := FS(root, func(*Node) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("from object")), nil })

	if err := fstest.TestFS(fsys, "etc/hostname", "etc/large"); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"etc/hostname": "host\n", "etc/large": "from object"} {
		if got, err := bounded.ReadFile(fsys, name, limits.Text); err != nil || string(got) != want {
			t.Errorf("ReadFile(%s) = %q, %v; want %q", name, got, err, want)
		}
	}
	if info, err := fs.Stat(fsys, "etc/large"); err != nil || info.Mode() != 0o755|fs.ModeSetuid {
		t.Errorf("Stat(etc/large) = %v, %v; want -u and 0755", info, err)
	}
	if _, err := fsys.Open("etc/none"); err == nil {
		t.Error("Open(etc/none) gives no error")
	}
}

// TestFSStat: files are there also when their content is not.
func TestFSStat(t *testing.T) {
	root := &Node{Mode: TypeDir | 0o755}
	root.Set("f", &Node{Mode: TypeRegular | 0o644, Size: 100})
	none := errors.New("no content")
	fsys := FS(root, func(*Node) (io.ReadCloser, error) { return nil, none })
	if info, err := fs.Stat(fsys, "f"); err != nil || info.Size() != 100 {
		t.Errorf("Stat(f) = %v, %v; want 100 bytes", info, err)
	}
	if _, err := bounded.ReadFile(fsys, "f", limits.Text); !errors.Is(err, none) {
		t.Errorf("ReadFile(f) error = %v; want %v", err, none)
	}
	if _, err := fs.Stat(fsys, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat(none) error = %v; want %v", err, fs.ErrNotExist)
	}
}

// TestFSSizes: what a tree says of the size of a file is no reason to take memory.
func TestFSSizes(t *testing.T) {
	object, err := digest.FromBytes(digest.SHA256, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		node Node
		want string
	}{
		{"2⁶³ - 1 bytes", Node{Size: math.MaxInt64, Digest: object}, "read f: configuration file size limit: at most 1 MiB"},
		{"2⁶⁴ - 1 bytes", Node{Size: math.MaxUint64, Digest: object}, "read f: configuration file size limit: at most 1 MiB"},
		{"8 PiB", Node{Size: 1 << 53, Digest: object}, "read f: configuration file size limit: at most 1 MiB"},
		{"8 PiB and no content", Node{Size: 1 << 53}, "read f: configuration file size limit: at most 1 MiB"},
		{"too short", Node{Size: 12, Digest: object}, "it has 11 bytes or more: want 12"},
		{"too long", Node{Size: 10, Digest: object}, "it has 11 bytes or more: want 10"},
		{"not empty", Node{Size: 0, Digest: object}, "it has 11 bytes or more: want 0"},
	}
	for _, tt := range tests {
		root := &Node{Mode: TypeDir | 0o755}
		tt.node.Mode = TypeRegular | 0o644
		root.Set("f", &tt.node)
		fsys := FS(root, func(*Node) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("from object")), nil })
		if data, err := bounded.ReadFile(fsys, "f", limits.Text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: ReadFile = %.20q, %v; want an error with %q", tt.name, data, err, tt.want)
		}
		if info, err := fs.Stat(fsys, "f"); err != nil || info.Size() < 0 {
			t.Errorf("%s: Stat = %v, %v", tt.name, info, err)
		}
	}
}
