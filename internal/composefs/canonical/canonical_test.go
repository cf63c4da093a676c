package canonical

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
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

func parse(t *testing.T, dump string) *tree.Node {
	t.Helper()
	root, err := tree.ParseDump(strings.NewReader(dump))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func dump(t *testing.T, root *tree.Node) string {
	t.Helper()
	var b bytes.Buffer
	if err := tree.WriteDump(&b, root); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func inline(n *tree.Node) ([]byte, error) {
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
		{Form{Boot: true}, []string{"/boot 0 40755 2 0 0 0 9.0 ", " security.capability=c security.selinux=label\n", "/usr/b 0 @120000"}, []string{"/boot/kernel", "user.mine", "=old"}},
		{Form{Boot: true, OwnNanoseconds: true}, []string{"/boot 0 40755 2 0 0 0 9.5 ", "/sysroot 0 40755 2 0 0 0 9.0 "}, nil},
	}
	for _, tt := range tests {
		root, err := Tree(t.Context(), raw, inline, tt.form)
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
	for _, v := range append(slices.Clone(Variants), oldVariants...) {
		root, err := Tree(t.Context(), raw, inline, Form{Boot: true, UserXattrs: v.UserXattrs, OwnNanoseconds: v.OwnNanoseconds})
		if err != nil {
			t.Fatal(err)
		}
		want, err := erofs.Digest(t.Context(), root, erofs.Options{Version: v.Version, Algorithm: digest.SHA256})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Find(t.Context(), raw, inline, true, want)
		if err != nil || m.Variant != v {
			t.Errorf("Find(%v) = %+v, %v", v, m, err)
			continue
		}
		if d, err := erofs.Digest(t.Context(), m.Root, m.Options); err != nil || d != want {
			t.Errorf("Find(%v) gives a tree whose image is %v, %v; want %v", v, d, err, want)
		}
	}
}

func TestMismatch(t *testing.T) {
	want, err := digest.Parse(strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		dump string
		n    int // variants that are not the same
	}{
		{image, 6}, {strings.ReplaceAll(image, " user.mine=1", ""), 3},
		{strings.ReplaceAll(image, " 2.5 ", " 2.0 "), 4}, {strings.NewReplacer(" user.mine=1", "", " 2.5 ", " 2.0 ").Replace(image), 2},
	} {
		_, err = Find(t.Context(), parse(t, tt.dump), inline, true, want)
		var m *Mismatch
		if !errors.As(err, &m) {
			t.Fatalf("Find(another digest) error = %v; want a Mismatch", err)
		}
		m.Image = "registry.example.org/os:1"
		text := m.Error()
		if n := strings.Count(text, "\n  computed  "); n != tt.n || len(m.Tried) != n {
			t.Errorf("%d variants are tried, %d said; want %d:\n%s", len(m.Tried), n, tt.n, text)
		}
		for _, part := range []string{
			"registry.example.org/os:1 has another digest", "expected  " + want.String(), m.Tried[0].Digest.String() + "  V1\n",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("the error does not say %q:\n%s", part, text)
			}
		}
	}
}

func TestRef(t *testing.T) {
	seen := make(map[string]bool)
	for _, v := range Variants {
		if got, ok := ParseRef(v.Ref()); got != v || !ok || seen[v.Ref()] {
			t.Errorf("ParseRef(%q) = %v, %v; want %v, and another name for each", v.Ref(), got, ok, v)
		}
		seen[v.Ref()] = true
	}
	if got := Variants[0].Ref(); got != "composefs.image.boot.v1" {
		t.Errorf("%s is called %q", Variants[0], got)
	}
	if v, ok := ParseRef("composefs.image"); ok {
		t.Errorf("ParseRef(composefs.image) = %v; want none", v)
	}
}
