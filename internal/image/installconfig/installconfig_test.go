package installconfig

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func files(pairs ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

// linked adds a link.
func linked(fsys fstest.MapFS, name, target string) fstest.MapFS {
	fsys[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
	return fsys
}

func TestLoad(t *testing.T) {
	for name, tt := range map[string]struct {
		fsys fstest.MapFS
		want string // as JSON, or a part of the error
	}{
		"nothing": {files(), `{}`},
		"later files count, and arguments add up": {files(
			"usr/lib/bootc/install/00-a.toml", "[install]\nroot-fs-type = \"xfs\"\nkargs = [\"a\"]\n",
			"usr/lib/bootc/install/10-b.toml", "[install]\nkargs = [\"b=1\"]\n[install.filesystem.root]\ntype = \"btrfs\"\n",
		), `{"root-fs-type":"xfs","filesystem":{"root":{"type":"btrfs"}},"kargs":["a","b=1"]}`},
		"a file in /etc replaces that of its name": {files(
			"usr/lib/bootc/install/a.toml", "[install]\nblock = [\"tpm2-luks\"]\nkargs = [\"a\"]\n",
			"etc/bootc/install/a.toml", "[install]\nkargs = [\"b\"]\n",
			"etc/bootc/install/README", "none of these",
		), `{"kargs":["b"]}`},
		"a link to /dev/null masks": {linked(files(
			"usr/lib/bootc/install/a.toml", "[install]\nkargs = [\"a\"]\n",
			"usr/lib/bootc/install/b.toml", "[install]\nkargs = [\"b\"]\n",
		), "etc/bootc/install/a.toml", "/dev/null"), `{"kargs":["b"]}`},
		"for another architecture": {files(
			"usr/lib/bootc/install/a.toml", "[install]\nmatch-architectures = [\"aarch64\"]\nkargs = [\"a\"]\n",
			"usr/lib/bootc/install/b.toml", "[install]\nmatch-architectures = [\"x86_64\"]\nkargs = [\"b\"]\n",
		), `{"kargs":["b"]}`},
		"unknown key":   {files("usr/lib/bootc/install/a.toml", "[install]\nrootfs = \"xfs\"\n"), `/usr/lib/bootc/install/a.toml: unknown key "install.rootfs"`},
		"unknown table": {files("etc/bootc/install/a.toml", "[disk]\na = 1\n"), `/etc/bootc/install/a.toml: unknown key "disk`},
		"wrong type":    {files("etc/bootc/install/a.toml", "[install]\nkargs = \"a\"\n"), "kargs"},
	} {
		c, err := Load(tt.fsys, "amd64")
		got, _ := json.Marshal(c)
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != tt.want && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %s; want %s", name, got, tt.want)
		}
	}
}

func TestDerived(t *testing.T) {
	c, err := Parse("[install]\nroot-fs-type = \"ext4\"\nkargs = [\"a=1\", \"a=2\", \"b\", \"c\"]\nkarg-deletes = [\"a=1\", \"c\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Arguments(), " "); got != "a=2 b" {
		t.Errorf("arguments are %q; want a=2 b", got)
	}
	text, _ := json.Marshal(c.Canonical().Public())
	if want := `{"filesystem":{"root":{"type":"ext4"}},"block":["direct"]}`; string(text) != want {
		t.Errorf("public part is %s; want %s", text, want)
	}
}

// FuzzParse: whatever a file has, it is read or refused, and merging it twice changes
// nothing but arguments.
func FuzzParse(f *testing.F) {
	f.Add("[install]\nroot-fs-type = \"xfs\"\n[install.filesystem.root]\ntype = \"btrfs\"\n")
	f.Add("[install]\nkargs = [\"a\"]\nkarg-deletes = [\"a\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		twice := c
		twice.merge(c)
		if c.RootType() != twice.RootType() || len(twice.Kargs) != 2*len(c.Kargs) || len(c.Arguments()) > len(c.Kargs) {
			t.Errorf("Parse(%q) = %+v, twice %+v", text, c, twice)
		}
	})
}
