package erofs

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	goerofs "github.com/erofs/go-erofs"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// trees are the vectors and the corners, each with a name.
func trees(t testing.TB) map[string]*tree.Node {
	t.Helper()
	all := make(map[string]*tree.Node)
	for _, v := range vectors(t) {
		if all[v.dump] == nil {
			all[v.dump] = parse(t, v.dump)
		}
	}
	for _, c := range corners {
		all[c.name] = cornerTree(t, c.dump)
	}
	all["a large tree"] = cornerTree(t, string(largeDump(20_000, digest.SHA256)))
	flat := newDir()
	for i := range 3000 {
		flat.Set(fmt.Sprintf("%0*d", 4+i%97, i), &tree.Node{Mode: tree.TypeFIFO | 0o600, Nlink: 1, UID: uint32(i)})
	}
	all["a large directory"] = flat
	return all
}

// TestFsck asks fsck.erofs from erofs-utils.
func TestFsck(t *testing.T) {
	program, err := exec.LookPath("fsck.erofs")
	if err != nil {
		t.Skip("fsck.erofs from erofs-utils is not installed")
	}
	file := filepath.Join(t.TempDir(), "image")
	for name, tree := range trees(t) {
		for _, version := range []int{V0, V1, V2} {
			if reason := unreadable(tree, version); reason != "" {
				continue
			}
			if err := os.WriteFile(file, write(t, tree, Options{Version: version}), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(program, file).CombinedOutput(); err != nil {
				t.Errorf("fsck.erofs of %s as V%d: %v\n%s", name, version, err, out)
			}
		}
	}
}

// unreadable says why EROFS readers refuse an image of the tree, if they do:
// what the writers whose bytes have to be repeated do wrong.
func unreadable(root *tree.Node, version int) (reason string) {
	root.Walk(func(_ string, n *tree.Node) {
		switch {
		case version == V2 && len(n.Inline) >= 2048:
			reason = "V2 keeps long content behind the inode, across blocks"
		case version == V2 && len(n.Target) >= 2048:
			reason = "V2 keeps long targets behind the inode, across blocks"
		case version != V2 && n.IsRegular() && n.Size > 1<<50:
			reason = "a large chunk table can have a block where readers do not look for it"
		case version == V2 && n.IsRegular() && n.Size > 0 && len(n.Inline) == 0 && n.Digest.IsZero():
			reason = "V2 writes no chunk table for a file without digest"
		case version == V2 && n.IsRegular() && n.Size > 1<<maxChunkBits:
			reason = "V2 writes one chunk for a file of several"
		}
	})
	return reason
}

// TestSecondReader compares what go-erofs finds in an image with the tree.
func TestSecondReader(t *testing.T) {
	for name, tree := range trees(t) {
		for _, version := range []int{V0, V1} {
			image := write(t, tree, Options{Version: version})
			fsys, err := goerofs.Open(bytes.NewReader(image))
			if err != nil {
				t.Errorf("%s as V%d: %v", name, version, err)
				continue
			}
			compareDir(t, fmt.Sprintf("%s as V%d: /", name, version), fsys, ".", tree, version)
		}
	}
}

// compareDir compares a directory and all below it.
func compareDir(t *testing.T, label string, fsys fs.FS, path string, want *tree.Node, version int) {
	entries, err := fs.ReadDir(fsys, path)
	if err != nil {
		t.Errorf("%s: %v", label, err)
		return
	}
	seen := 0
	for _, e := range entries {
		n := want.Entry(e.Name())
		if n == nil {
			if path != "." || len(e.Name()) != 2 {
				t.Errorf("%s: has %q", label, e.Name())
			}
			continue
		}
		seen++
		info, err := e.Info()
		if err != nil {
			t.Errorf("%s%q: %v", label, e.Name(), err)
			continue
		}
		compareStat(t, fmt.Sprintf("%s%q", label, e.Name()), info, n)
		if n.IsDir() {
			compareDir(t, label+e.Name()+"/", fsys, strings.TrimPrefix(path+"/"+e.Name(), "./"), n, version)
		}
	}
	if seen != len(want.Entries()) {
		t.Errorf("%s: %d of %d entries found", label, seen, len(want.Entries()))
	}
}

func compareStat(t *testing.T, label string, info fs.FileInfo, n *tree.Node) {
	st, ok := info.Sys().(*goerofs.Stat)
	if !ok {
		t.Fatalf("%s: Sys() = %T", label, info.Sys())
	}
	if st.UID != n.UID || st.GID != n.GID || int64(st.Mtime) != n.Mtime.Sec || uint32(st.MtimeNs) != n.Mtime.Nsec {
		t.Errorf("%s: owner %d:%d, time %d.%d; want %d:%d, %v", label, st.UID, st.GID, st.Mtime, st.MtimeNs, n.UID, n.GID, n.Mtime)
	}
	if info.Mode().Perm() != fs.FileMode(n.Mode&0o777) || info.IsDir() != n.IsDir() {
		t.Errorf("%s: mode %v; want %o", label, info.Mode(), n.Mode)
	}
	if n.IsRegular() && uint64(info.Size()) != n.Size {
		t.Errorf("%s: size %d; want %d", label, info.Size(), n.Size)
	}
	for _, x := range n.Xattrs() {
		name := x.Name
		if strings.HasPrefix(name, overlayPrefix) {
			name = overlayEscape + name[len(overlayPrefix):]
		}
		if strings.HasPrefix(name, "system.posix_acl_") {
			name += "." // as go-erofs 0.3.1 calls them
		}
		if got, ok := st.Xattrs[name]; !ok || got != x.Value {
			t.Errorf("%s: attribute %q = %q, %v; want %q", label, name, got, ok, x.Value)
		}
	}
	if n.IsRegular() && n.Size > 0 && len(n.Inline) == 0 && !n.Digest.IsZero() {
		if got := st.Xattrs[overlayMetacopy]; !strings.HasSuffix(got, string(n.Digest.Bytes())) {
			t.Errorf("%s: metacopy %q; want the digest %v", label, got, n.Digest)
		}
	}
}

// TestMkcomposefs compares images with those of the original.
func TestMkcomposefs(t *testing.T) {
	program := mkcomposefs(t)
	dir := t.TempDir()
	for name, tree := range trees(t) {
		if strings.Contains(name, "sha512") {
			continue // beyond mkcomposefs 1.0.8
		}
		text := dump(t, tree)
		if err := os.WriteFile(dir+"/dump", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for version, args := range map[int][]string{
			V0: {"--min-version=0", "--max-version=0"}, V1: {"--min-version=1"}, Auto: nil,
		} {
			out, err := exec.Command(program, append(args, "--from-file", dir+"/dump", dir+"/image")...).CombinedOutput()
			if err != nil {
				t.Errorf("%s: mkcomposefs %v: %v: %s", name, args, err, out)
				continue
			}
			want, err := os.ReadFile(dir + "/image")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(write(t, tree, Options{Version: version, Dialect: Mkcomposefs}), want) {
				t.Errorf("%s: mkcomposefs %v makes another image", name, args)
			}
		}
	}
}
