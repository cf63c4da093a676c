package canonical

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/erofs"
)

// image is a small system: with a mount point that a builder left, something in
// /boot, a user's attribute and a policy.
const image = `/ 0 40700 8 0 0 0 1.0 - - -
/boot 0 40755 2 0 0 0 2.5 - - -
/boot/kernel 1 100644 1 0 0 0 3.0 - k -
/etc 0 40755 3 0 0 0 3.0 - - -
/etc/selinux 0 40755 3 0 0 0 3.0 - - -
/etc/selinux/config 17 100644 1 0 0 0 3.0 - SELINUXTYPE=test\n -
/etc/selinux/test 0 40755 3 0 0 0 3.0 - - -
/etc/selinux/test/contexts 0 40755 3 0 0 0 3.0 - - -
/etc/selinux/test/contexts/files 0 40755 2 0 0 0 3.0 - - -
/etc/selinux/test/contexts/files/file_contexts 17 100644 1 0 0 0 3.0 - /usr(/.*)?\x20label\n -
/run 0 40755 3 0 0 0 3.0 - - -
/run/secrets 0 40755 2 0 0 0 3.0 - - -
/sysroot 0 40755 2 0 0 0 3.0 - - -
/usr 0 40755 2 7 0 0 9.0 - - -
/usr/a 1 100644 2 0 0 0 3.0 - a - security.capability=c security.selinux=old user.mine=1
/usr/b 0 @120000 - - - - 0.0 /usr/a - -
`

func parse(t *testing.T, dump string) *composefs.Node {
	t.Helper()
	root, err := composefs.ParseDump(strings.NewReader(dump))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func dump(t *testing.T, root *composefs.Node) string {
	t.Helper()
	var b bytes.Buffer
	if err := composefs.WriteDump(&b, root); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func inline(n *composefs.Node) ([]byte, error) {
	if n == nil {
		return nil, fmt.Errorf("a node of another tree: %w", fs.ErrInvalid)
	}
	return n.Inline, nil
}

func TestTree(t *testing.T) {
	raw := parse(t, image)
	tests := []struct {
		form     Form
		has, not []string
	}{
		{Form{}, []string{"/ 0 40755 7 7 0 0 9.0 ", "/boot/kernel", " security.capability=c\n"}, []string{"/run/secrets", "selinux=", "user.mine"}},
		{Form{UserXattrs: true}, []string{" security.capability=c user.mine=1\n"}, []string{"selinux="}},
		{Form{Boot: true}, []string{"/boot 0 40755 2 0 0 0 9.5 ", " security.capability=c security.selinux=label\n", "/usr/b 0 @120000"}, []string{"/boot/kernel", "user.mine", "=old"}},
	}
	for _, tt := range tests {
		root, err := Tree(raw, inline, tt.form)
		if err != nil {
			t.Errorf("Tree(%+v): %v", tt.form, err)
			continue
		}
		got := dump(t, root)
		for _, s := range tt.has {
			if !strings.Contains(got, s) {
				t.Errorf("Tree(%+v) has no %q:\n%s", tt.form, s, got)
			}
		}
		for _, s := range tt.not {
			if strings.Contains(got, s) {
				t.Errorf("Tree(%+v) has %q:\n%s", tt.form, s, got)
			}
		}
	}
	if dump(t, raw) != image {
		t.Errorf("Tree has changed its argument:\n%s", dump(t, raw))
	}
}

func TestFind(t *testing.T) {
	raw := parse(t, image)
	for i, v := range Variants {
		root, err := Tree(raw, inline, Form{Boot: true, UserXattrs: v.UserXattrs})
		if err != nil {
			t.Fatal(err)
		}
		want, err := erofs.Digest(root, erofs.Options{Version: v.Version, Algorithm: digest.SHA256})
		if err != nil {
			t.Fatal(err)
		}
		tried, fits, err := Find(raw, inline, true, want)
		if err != nil || !fits || len(tried) != i+1 || tried[i].Variant != v || tried[i].Digest != want {
			t.Errorf("Find(%v) = %v, %v, %v", v, tried, fits, err)
		}
	}
	other, err := digest.Parse(strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	if tried, fits, err := Find(raw, inline, true, other); err != nil || fits || len(tried) != len(Variants) {
		t.Errorf("Find(another digest) = %v, %v, %v; want %d variants and none that fits", tried, fits, err, len(Variants))
	}
	plain := parse(t, strings.ReplaceAll(image, " user.mine=1", ""))
	if tried, fits, err := Find(plain, inline, true, other); err != nil || fits || len(tried) != 2 {
		t.Errorf("Find without user.* attributes tries %v, %v, %v; want two variants", tried, fits, err)
	}
}
