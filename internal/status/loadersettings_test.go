package status

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// TestLoaderSettings has the loader told in several ways what to boot, of the entries
// old, which is the first, aged, and new, which has used up its tries.
func TestLoaderSettings(t *testing.T) {
	const oldFile, newFile = "old.conf", "new+0-3.conf"
	tests := []struct {
		name, variables, conf string
		want                  string // what makes the loader boot what, "" for nothing
	}{
		{"nothing", "LoaderInfo=systemd-boot 260", "timeout 3\n", ""},
		{"default", "", "default new.conf\n", "loader.conf " + newFile},
		{"preferred", "", "preferred old.conf\n", ""},
		{"preferred, not the first", "", "preferred aged.conf\ndefault old.conf\n", "loader.conf aged.conf"},
		{"preferred in a variable, not the first", "LoaderEntryPreferred=aged.conf", "preferred old.conf\n", "EFI variable LoaderEntryPreferred aged.conf"},
		{"preferred, and bad", "", "preferred new.conf\n", ""},
		{"preferred, and bad, and the default", "", "preferred new*\ndefault new*\n", "loader.conf " + newFile},
		{"a variable before the file", "LoaderEntryDefault=new.conf", "default old.conf\n", "EFI variable LoaderEntryDefault " + newFile},
		{"preferred before the default", "LoaderEntryDefault=new.conf", "preferred old.conf\n", ""},
		{"preferred in a variable", "LoaderEntryPreferred=old.conf;LoaderEntryDefault=new.conf", "", ""},
		{"preferred in a variable, bad", "LoaderEntryPreferred=new.conf;LoaderEntryDefault=new.conf", "", "EFI variable LoaderEntryDefault " + newFile},
		{"once", "LoaderEntryOneShot=new.conf;LoaderEntryPreferred=old.conf", "", "EFI variable LoaderEntryOneShot " + newFile},
		{"preferred, which 259 does not know", "LoaderInfo=systemd-boot 259.1;LoaderEntryPreferred=old.conf;LoaderEntryDefault=new.conf", "", "EFI variable LoaderEntryDefault " + newFile},
		{"the last line counts", "", "default new.conf\ndefault old.conf\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{
				"k": "kernel", "loader/loader.conf": tt.conf,
				"loader/entries/aged.conf":  "title Aged\nlinux /k\n",
				"loader/entries/" + oldFile: "title Old\nlinux /k\n", "loader/entries/" + newFile: "title New\nlinux /k\n",
			} {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			p, err := boot.OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			g := &gatherer{sys: &machine.System{Boot: p, Running: efi(tt.variables)}}
			g.m = g.sys.State()
			if g.noteLoaderSettings(); tt.want == "" && len(g.status.Notes) == 0 {
				return
			}
			by, file := "", ""
			if i := strings.LastIndexByte(tt.want, ' '); i >= 0 {
				by, file = tt.want[:i], tt.want[i+1:]
			}
			want := by + " overrides what boots next: the loader boots " + file
			if got := strings.Join(g.status.Notes, "; "); got != want || len(g.status.Problems) > 0 {
				t.Errorf("notes %q, problems %q; want %q", got, g.status.Problems, want)
			}
		})
	}
}

// efi returns a running system with EFI variables, "NAME=VALUE;NAME=VALUE".
func efi(variables string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, v := range strings.Split(variables, ";") {
		name, value, _ := strings.Cut(v, "=")
		data := []byte{6, 0, 0, 0}
		for _, u := range utf16.Encode([]rune(value + "\x00")) {
			data = binary.LittleEndian.AppendUint16(data, u)
		}
		fsys[bootcount.VariableFile(name)] = &fstest.MapFile{Data: data}
	}
	return fsys
}
