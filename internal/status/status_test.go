package status

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"golang.org/x/tools/txtar"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/record"
)

var update = flag.Bool("update", false, "rewrite the wanted text in testdata")

// IDs in testdata are the letters a to f between angle brackets: <a>.
var ids = func() *strings.Replacer {
	var pairs []string
	for _, letter := range strings.Split("abcdef", "") {
		pairs = append(pairs, "<"+letter+">", letter+strings.Repeat("0", 127))
	}
	return strings.NewReplacer(pairs...)
}()

// system reads a case: files below running/, sysroot/ and boot/, where missing
// directories are not known at all, the file "denied" which lists what may not be
// read, and "efivars", variables of the loader as NAME=VALUE;NAME=VALUE.
func system(t *testing.T, ar *txtar.Archive) *machine.System {
	t.Helper()
	bootDir := t.TempDir()
	trees := map[string]fstest.MapFS{"running": {}, "sysroot": {}}
	denied := ""
	for _, f := range ar.Files {
		dir, name, _ := strings.Cut(ids.Replace(f.Name), "/")
		data := []byte(ids.Replace(string(f.Data)))
		if strings.HasSuffix(name, "/boot-attempts") {
			var err error
			if data, err = record.Attempts(string(data)); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case f.Name == "denied":
			denied = ids.Replace(string(f.Data))
		case f.Name == "efivars":
			maps.Copy(trees["running"], efi(strings.TrimSpace(string(data))))
		case dir == "boot":
			path := filepath.Join(bootDir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
				t.Fatal(err)
			}
		case trees[dir] != nil:
			trees[dir][name] = &fstest.MapFile{Data: data}
		}
	}
	src := &machine.System{}
	if len(trees["running"]) > 0 {
		src.Running = denyFS{trees["running"], denied}
	}
	if len(trees["sysroot"]) > 0 {
		src.Sysroot = denyFS{trees["sysroot"], denied}
	}
	if strings.Contains(denied, "boot\n") {
		src.BootErr = fmt.Errorf("cannot mount /dev/vda1: %w", fs.ErrPermission)
		return src
	}
	p, err := boot.OpenDir(bootDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	src.Boot = p
	return src
}

// A denyFS refuses what is listed, a line each.
type denyFS struct {
	fs.FS
	denied string
}

func (d denyFS) Open(name string) (fs.File, error) {
	if strings.Contains(d.denied, name+"\n") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return d.FS.Open(name)
}

// Each case shows files, and the text and JSON that they make.
func TestGather(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := Gather(system(t, ar))
			data, err := json.MarshalIndent(s.JSON(), "", "  ")
			if err != nil || !json.Valid(data) {
				t.Errorf("JSON is not valid: %v\n%s", err, data)
			}
			failed := GatherFailed(system(t, ar))
			failedData, err := json.MarshalIndent(failed.JSON(), "", "  ")
			if err != nil {
				t.Error(err)
			}
			got := map[string]string{
				"want": s.Text(), "want.json": string(data) + "\n",
				"want.login": LoginLine(system(t, ar)), "want.failed": failed.Text(), "want.failed.json": string(failedData) + "\n",
			}
			for i, f := range ar.Files {
				text, wanted := got[f.Name]
				if !wanted {
					continue
				}
				if *update {
					ar.Files[i].Data = []byte(shorten(text))
					continue
				}
				if want := string(f.Data); shorten(text) != want {
					t.Errorf("%s is:\n%s\nwant:\n%s", f.Name, shorten(text), want)
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// shorten writes IDs as the files of a case have them, and the architecture as
// if it were amd64.
func shorten(text string) string {
	text = strings.ReplaceAll(text, `"architecture": "`+runtime.GOARCH+`"`, `"architecture": "amd64"`)
	for _, letter := range strings.Split("abcdef", "") {
		text = strings.ReplaceAll(text, ids.Replace("<"+letter+">"), "<"+letter+">")
	}
	return text
}

func TestOf(t *testing.T) {
	dir := t.TempDir()
	s, err := Of(machine.Place{Dir: dir})
	if err != nil || len(s.Problems) > 0 || s.Text() != "There are no deployments.\n" {
		t.Errorf("Of an empty directory = %+v, %v; want no deployments and no problems", s, err)
	}
	if _, err := Of(machine.Place{Dir: dir + "/none"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Of a directory that does not exist: %v; want fs.ErrNotExist", err)
	}
}

// The machine that runs the test tells something, whatever it is.
func TestOfRunning(t *testing.T) {
	root, err := os.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s, err := Of(machine.Place{Host: machine.Host{Root: root, Files: root.FS()}})
	if err != nil || s.Text() == "" {
		t.Errorf("Of the running machine = %q, %v", s.Text(), err)
	}
}

// efi returns the files of EFI variables of the loader, "NAME=VALUE;NAME=VALUE".
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
