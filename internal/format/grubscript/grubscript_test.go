package grubscript

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
)

func TestMenuEntry(t *testing.T) {
	kernel := bootentry.Entry{
		Title: "Bob's $OS; {1}", Linux: "/a/vmlinuz", Initrds: []string{"/a/initrd", `\a\more`},
		Options: `root=UUID=1 dyndbg="file a.c +p" x=$y;z`, Other: []bootentry.KeyValue{{Key: "devicetree", Value: "/a/x.dtb"}},
	}
	for name, tt := range map[string]struct {
		entry bootentry.Entry
		want  string
	}{
		"kernel": {kernel, `menuentry 'Bob'\''s $OS; {1}' --id 'os-1' --unrestricted "$entry" {
  count "$2"
  linux '/a/vmlinuz' 'root=UUID=1' 'dyndbg=file a.c +p' 'x=$y;z'
  initrd '/a/initrd' '/a/more'
  devicetree '/a/x.dtb'
  start
}
`},
		"unified kernel image": {bootentry.Entry{UKI: "/EFI/Linux/a.efi"}, `menuentry 'os-1' --id 'os-1' --unrestricted "$entry" {
  count "$2"
  chainloader '/EFI/Linux/a.efi'
  start
}
`},
	} {
		got, err := MenuEntry("os-1", tt.entry)
		if err != nil || got != tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, tt.want)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, options := range []string{`a='b'`, `a=b\x20c`, "\"a=b\tc\""} {
		if _, err := MenuEntry("x", bootentry.Entry{Linux: "/k", Options: options}); !errors.Is(err, ErrArgument) {
			t.Errorf("%q: %v; want %v", options, err, ErrArgument)
		}
	}
	if _, err := MenuEntry("x", bootentry.Entry{}); err == nil {
		t.Error("an entry without a kernel is none for GRUB, but there is no error")
	}
}

// FuzzMenuEntry has GRUB's own program check what MenuEntry returns, and that a title is one word.
func FuzzMenuEntry(f *testing.F) {
	f.Add("Bob's OS", "quiet x='", "/k")
	f.Add("}\n{", `a"b c`, "/a b")
	check, err := exec.LookPath("grub-script-check")
	f.Fuzz(func(t *testing.T, title, options, linux string) {
		e, parseErr := bootentry.Parse(bootentry.Entry{Title: title, Options: options, Linux: linux}.Encode())
		if parseErr != nil {
			return
		}
		script, entryErr := MenuEntry("id", e)
		if entryErr != nil {
			return
		}
		if lines := strings.Count(script, "\n"); lines != 5 {
			t.Fatalf("%d lines; want 5:\n%s", lines, script)
		}
		if err != nil {
			return
		}
		file := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(check, file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%s", err, out, script)
		}
	})
}
