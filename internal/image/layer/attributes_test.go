package layer

import (
	"archive/tar"
	"fmt"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// attrsArchive has files of about 1 MB of extended attributes each, whose values
// begin with what value returns.
func attrsArchive(t *testing.T, name string, files int, value func(file int) string) []byte {
	t.Helper()
	b := newBuilder(t)
	for file := range files {
		records := make(map[string]string)
		for i := range 15 {
			records[fmt.Sprintf("SCHILY.xattr.user.%d", i)] = value(file) + strings.Repeat("x", 65000)
		}
		b.add(tar.Header{Name: fmt.Sprintf("%s%d", name, file), Typeflag: tar.TypeReg, PAXRecords: records}, "")
	}
	return b.end()
}

func TestManyAttributes(t *testing.T) {
	const want = "bytes of extended attributes"
	each := func(layer string) func(int) string {
		return func(file int) string { return fmt.Sprint(layer, file) }
	}
	tests := []struct {
		name   string
		layers [][]byte
		ok     bool
	}{
		{"a few", [][]byte{attrsArchive(t, "a", 15, each("a"))}, true},
		{"of one layer", [][]byte{attrsArchive(t, "a", 20, each("a"))}, false},
		{"of two layers", [][]byte{attrsArchive(t, "a", 10, each("a")), attrsArchive(t, "b", 10, each("b"))}, false},
		{"in place of others", [][]byte{attrsArchive(t, "a", 10, each("a")), newBuilder(t).file(".wh..wh..opq", "").end(), attrsArchive(t, "a", 10, each("b"))}, true},
		{"the same", [][]byte{attrsArchive(t, "a", 20, func(int) string { return "" }), attrsArchive(t, "b", 20, func(int) string { return "" })}, true},
	}
	for _, tt := range tests {
		_, err := applyBytes(t, tt.layers...)
		if tt.ok && err != nil || !tt.ok && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("attributes, %s: %v; success is %v", tt.name, err, tt.ok)
		}
	}
}

// TestSignatures: a file may have a signature of its own, however many there are.
func TestSignatures(t *testing.T) {
	var attrs attrCounter
	root := &tree.Node{Mode: tree.TypeDir | 0o755}
	for i := range 100000 {
		n := &tree.Node{Mode: tree.TypeRegular | 0o644}
		n.SetXattrs([]tree.Xattr{{Name: "security.ima", Value: fmt.Sprintf("%0530d", i)}, {Name: "security.selinux", Value: "system_u:object_r:usr_t:s0"}})
		if err := attrs.add(root, n); err != nil {
			t.Fatal(err)
		}
	}
}
