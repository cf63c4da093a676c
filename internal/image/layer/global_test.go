package layer

import (
	"slices"
	"strings"
	"testing"
)

// TestGlobalHeader refuses a global header that GNU tar would apply to the entries
// after it, and accepts one without effect.
func TestGlobalHeader(t *testing.T) {
	file := raw(func([]byte) {})
	long := record("comment", strings.Repeat("x", 1000))
	tests := []struct{ records, want string }{
		{record("path", "other"), `sets "path" for all entries`},
		{record("linkpath", "other"), `sets "linkpath"`},
		{record("size", "0"), `sets "size"`},
		{record("uid", "0"), `sets "uid"`},
		{record("gid", ""), `sets "gid"`},
		{record("mtime", "1"), `sets "mtime"`},
		{record("SCHILY.xattr.security.capability", "x"), `sets "SCHILY.xattr.security.capability"`},
		{record("GNU.sparse.size", "1"), `sets "GNU.sparse.size"`},
		{long + record("uid", "1000"), `sets "uid"`},
		{"99 comment=x\n", "global PAX header: malformed PAX record"},
		{"", ""},
		{record("comment", "0123456789abcdef0123456789abcdef01234567"), ""}, // as git archive writes it
		{long + record("charset", "BINARY") + record("uname", "root") + record("atime", "1"), ""},
	}
	for _, tt := range tests {
		archive := slices.Concat(pax('g', tt.records), file)
		root, err := applyBytes(t, archive)
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%.40q: error %v; want one with %q", tt.records, err, tt.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%.40q: %v; want it accepted", tt.records, err)
		} else if got := list(root); got != "/ 40755\n/file 100644 \"\"\n" {
			t.Errorf("%.40q: tree is\n%s", tt.records, got)
		}
	}
}
