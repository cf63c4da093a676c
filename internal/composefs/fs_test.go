package composefs

import (
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/digest"
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
		if got, err := fs.ReadFile(fsys, name); err != nil || string(got) != want {
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
