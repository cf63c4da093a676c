package erofs

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// A vector is a dump and the digest of the image that another program makes of
// it, see testdata/README.md.
type vector struct {
	dump string
	opts Options
	want string
}

// vectors reads the tables in testdata.
func vectors(t testing.TB) []vector {
	t.Helper()
	tables := []struct {
		name      string
		algorithm digest.Algorithm
		columns   []Options // from the second or third column
		first     int
	}{
		{"vectors-sha256.tsv", digest.SHA256, []Options{
			{Version: V0, Dialect: Mkcomposefs}, {Version: V1, Dialect: Mkcomposefs},
			{Version: Auto, Dialect: Mkcomposefs}, {Version: V2},
		}, 2},
		{"vectors-sha512.tsv", digest.SHA512, []Options{{Version: V1}, {Version: V2}}, 1},
	}
	var list []vector
	for _, table := range tables {
		data, err := os.ReadFile("testdata/" + table.name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			fields := strings.Split(strings.TrimSpace(line), "\t")
			if strings.HasPrefix(line, "#") {
				continue
			}
			for i, opts := range table.columns {
				opts.Algorithm = table.algorithm
				list = append(list, vector{fields[0], opts, fields[table.first+i]})
			}
		}
	}
	return list
}

// parse reads a dump in testdata.
func parse(t testing.TB, name string) *tree.Node {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root, err := tree.ParseDump(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return root
}

func dump(t testing.TB, root *tree.Node) string {
	t.Helper()
	var b bytes.Buffer
	if err := tree.WriteDump(&b, root); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestVectors(t *testing.T) {
	list := vectors(t)
	if len(list) != 30*6 {
		t.Errorf("%d vectors; want 30 trees, each with 6", len(list))
	}
	for _, v := range list {
		root := parse(t, v.dump)
		before := dump(t, root)
		got, err := Digest(t.Context(), root, v.opts)
		if err != nil || got.String() != v.want {
			t.Errorf("Digest(%s, %+v) = %v, %v; want %s", v.dump, v.opts, got, err, v.want)
		}
		if dump(t, root) != before {
			t.Errorf("Digest(%s, %+v) changed the tree", v.dump, v.opts)
		}
	}
}

// TestDialectsAgree: on these trees the dialects differ in nothing.
func TestDialectsAgree(t *testing.T) {
	for _, v := range vectors(t) {
		v.opts.Dialect = ComposefsRS
		got, err := Digest(t.Context(), parse(t, v.dump), v.opts)
		if err != nil || got.String() != v.want {
			t.Errorf("Digest(%s, %+v) = %v, %v; want %s", v.dump, v.opts, got, err, v.want)
		}
	}
}

const emptyDump = "/ 0 40755 2 0 0 0 0.0 - - -\n"

func TestEmptyTree(t *testing.T) {
	want := map[int]string{
		V0: "8f589e8f57ecb88823736b0d857ddca1e1068a23e264fad164b28f7038eb3682",
		V1: "14a26c957c84f6eb774b91205476adc13196c7c33b9dd97d08d43725ecb90b63",
		V2: "086b702a519b57d6ef5aea6f8b3f2be24355cd1fb835cd80fb4e3d388b24d5a5",
	}
	root, err := tree.ParseDump(strings.NewReader(emptyDump))
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range want {
		got, err := Digest(t.Context(), root, Options{Version: version, Algorithm: digest.SHA256})
		if err != nil || got.String() != want {
			t.Errorf("Digest(empty tree, V%d) = %v, %v; want %s", version, got, err, want)
		}
	}
}
