package rootconfig

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestOfImage(t *testing.T) {
	const program = Program
	tests := []struct {
		name  string
		files map[string]string
		want  Config
		err   string
	}{
		{"ours", map[string]string{program: ""}, Config{Etc: Overlay, Var: Overlay}, ""},
		{"bootc's", nil, Config{Etc: Bind, Var: Bind}, ""},
		{"bootc's does not read our file", map[string]string{File: "[etc]\nmount = 'none'"}, Config{Etc: Bind, Var: Bind}, ""},
		{"bootc's file for bootc", map[string]string{BootcFile: "[etc]\ntransient = true"}, Config{Etc: Transient, Var: Bind}, ""},
		{"bootc's file for us", map[string]string{program: "", BootcFile: "[etc]\nmount = 'bind'"}, Config{Etc: Bind, Var: Overlay}, ""},
		{"our file before bootc's", map[string]string{program: "", File: "[etc]\nmount = 'none'", BootcFile: "[etc]\nmount = 'bind'\n[root]\ntransient = true"}, Config{RootTransient: true, Etc: None, Var: Overlay}, ""},
		{"mount before transient", map[string]string{program: "", File: "[var]\nmount = 'overlay'\ntransient = true"}, Config{Etc: Overlay, Var: Overlay}, ""},
		{"a mode that is none", map[string]string{program: "", File: "[etc]\nmount = 'magic'"}, Config{}, `[etc] mount: "magic" is not one of`},
		{"no TOML", map[string]string{program: "", BootcFile: "[etc"}, Config{}, BootcFile},
	}
	for _, tt := range tests {
		fsys := fstest.MapFS{}
		for name, text := range tt.files {
			fsys[name] = &fstest.MapFile{Data: []byte(text)}
		}
		got, err := OfImage(fsys)
		inside := make(map[string][]byte)
		for name, text := range tt.files {
			inside[name] = []byte(text)
		}
		if _, ours := inside[program]; !ours {
			inside["usr/lib/bootc/initramfs-setup"] = nil // too large to have its content
		}
		same, sameErr := OfInitramfs(inside)
		if same != got || (err == nil) != (sameErr == nil) {
			t.Errorf("%s: OfInitramfs() = %+v, %v, but OfImage() = %+v, %v", tt.name, same, sameErr, got, err)
		}
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: OfImage() error = %v; want one with %q", tt.name, err, tt.err)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%s: OfImage() = %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
}

// TestNoProgram: what no program reads says nothing, and nothing would mount the root.
func TestNoProgram(t *testing.T) {
	for _, files := range []map[string][]byte{{}, {File: []byte("[etc]\nmount = 'none'")}, {BootcFile: nil}} {
		if _, err := OfInitramfs(files); !errors.Is(err, ErrNoProgram) {
			t.Errorf("OfInitramfs(%q) error = %v; want %v", files, err, ErrNoProgram)
		}
	}
	for _, name := range others {
		if _, err := OfInitramfs(map[string][]byte{name: {}}); err != nil || !slices.Contains(Names(), name) {
			t.Errorf("with %s: OfInitramfs() = %v, and it is among Names: %v; want to know it", name, err, slices.Contains(Names(), name))
		}
	}
}

func TestLoadWarns(t *testing.T) {
	fsys := fstest.MapFS{File: {Data: []byte("[etc]\nmount = 'none'\ncolour = 1\n")}}
	c, warnings, err := Load(fsys, File, BootcFile)
	if err != nil || c.Etc != None || len(warnings) != 1 || !strings.Contains(warnings[0], "unknown key etc.colour") {
		t.Errorf("Load() = %+v, %q, %v; want a warning of the unknown key", c, warnings, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[root]\ntransient = true\n[etc]\nmount = \"overlay\"\n[var]\ntransient = false\n")
	f.Add("[etc]\nmount = \"volatile\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		if config, err := Parse(text); err == nil {
			if again, err := Parse(config.String()); err != nil || again != config {
				t.Errorf("Parse(%q) = %+v, read back %+v, %v", text, config, again, err)
			}
		}
		c, _, err := parse(text)
		if err == nil && c.etc != "" {
			if _, err := parseMode(string(c.etc)); err != nil {
				t.Errorf("parse(%q) has mode %q", text, c.etc)
			}
		}
	})
}
