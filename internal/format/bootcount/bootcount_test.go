package bootcount

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

// encode returns text as a variable's value has it.
func encode(text string) []byte {
	var data []byte
	for _, u := range append(utf16.Encode([]rune(text)), 0) {
		data = append(data, byte(u), byte(u>>8))
	}
	return data
}

func with(name string, data []byte) fs.FS {
	return fstest.MapFS{VariableFile(name): {Data: data}}
}

var attributes = []byte{6, 0, 0, 0}

func TestText(t *testing.T) {
	for text, value := range map[string][]byte{"ä-1.conf": encode("ä-1.conf"), "": {}} {
		got, err := Text(with("LoaderEntryDefault", append(attributes, value...)), "LoaderEntryDefault")
		if got != text || err != nil {
			t.Errorf("Text of %q = %q, %v", text, got, err)
		}
	}
	for _, data := range [][]byte{nil, {6, 0, 0}, {6, 0, 0, 0, 65}} {
		if got, err := Text(with("LoaderEntryDefault", data), "LoaderEntryDefault"); err == nil {
			t.Errorf("Text of %v = %q; want an error", data, got)
		}
	}
	if _, err := Text(fstest.MapFS{}, "LoaderEntryDefault"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Text without EFI: %v; want fs.ErrNotExist", err)
	}
}

func TestBooted(t *testing.T) {
	tests := []struct {
		path, want string
		uki        bool
	}{
		{`\loader\entries\v2+2-1.conf`, "v2+2-1.conf", false},
		{`\EFI\Linux\v2+1-2.efi`, "v2+1-2.conf", true},
		{`/loader/entries/v2+3.conf`, "v2+3-0.conf", false},
	}
	for _, tt := range tests {
		got, err := Booted(with("LoaderBootCountPath", append(attributes, encode(tt.path)...)))
		if err != nil || got.Name.String() != tt.want || got.UKI != tt.uki {
			t.Errorf("Booted with %q = %s, %v, %v; want %s, %v", tt.path, got.Name, got.UKI, err, tt.want, tt.uki)
		}
	}
	for _, data := range [][]byte{nil, {6, 0, 0, 0}, append(attributes, encode("notes.txt")...)} {
		if got, err := Booted(with("LoaderBootCountPath", data)); !errors.Is(err, ErrMalformed) {
			t.Errorf("Booted with %q = %s, %v; want ErrMalformed", data, got.Name, err)
		}
	}
	if _, err := Booted(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Booted of a boot that is not counted: %v; want fs.ErrNotExist", err)
	}
}

func TestDoubt(t *testing.T) {
	for file, want := range map[string]string{
		"v2+2-1.conf": "", "v2+0-3.conf": "", "v2+0-9.conf": "",
		"v2.conf": "the entry has no tries", "v2+3.conf": "it used up no try", "v2+3-0.conf": "it used up no try",
		"v2+99999.conf": "it used up no try", "v2+99999-1.conf": "it has 99999 tries left after 1",
	} {
		entry, err := Booted(with("LoaderBootCountPath", append(attributes, encode(`\loader\entries\`+file)...)))
		if got := entry.Doubt(); got != want || err != nil {
			t.Errorf("%s: doubt %q, %v; want %q", file, got, err, want)
		}
	}
}

func TestByKexec(t *testing.T) {
	for text, want := range map[string]bool{"33\n": false, "114\n": false, "208\n": true, "213\n": true, "": false, "nonsense": false} {
		fsys := with("LoaderBootCountPath", append(attributes, encode(`\loader\entries\v2+2-1.conf`)...)).(fstest.MapFS)
		fsys["proc/sys/kernel/bootloader_type"] = &fstest.MapFile{Data: []byte(text)}
		if got := ByKexec(fsys); got != want {
			t.Errorf("ByKexec with %q = %v", text, got)
		}
		if _, err := Booted(fsys); errors.Is(err, ErrKexec) != want || errors.Is(err, fs.ErrNotExist) != want {
			t.Errorf("Booted with %q: %v", text, err)
		}
	}
	if !ByKexec(fstest.MapFS{"proc/device-tree/chosen/linux,booted-from-kexec": {}}) || ByKexec(fstest.MapFS{}) {
		t.Error("the device tree is not asked")
	}
}

func TestPolicyOf(t *testing.T) {
	for cmdline, want := range map[string]Policy{
		"": "",
		"quiet sysupdate-image.on-failure=reboot": Reboot,
		"sysupdate_image.on_failure=poweroff":     PowerOff,
		"sysupdate-image.on-failure=emergency":    Emergency,
		"sysupdate-image.on-failure=nonsense":     "",
	} {
		if got := PolicyOf(kcmdline.Parse(cmdline)); got != want {
			t.Errorf("PolicyOf(%q) = %q; want %q", cmdline, got, want)
		}
	}
}

func FuzzBooted(f *testing.F) {
	f.Add(append(attributes, encode(`\loader\entries\v2+2-1.conf`)...))
	f.Add([]byte{6, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		entry, err := Booted(with("LoaderBootCountPath", data))
		if err == nil && strings.ContainsAny(entry.Name.Base, `/\`) {
			t.Errorf("Booted with %q = %q; want a name without a path", data, entry.Name.Base)
		}
	})
}

func FuzzDecodeText(f *testing.F) {
	f.Add(encode("sysupdate-image-1.conf"))
	f.Add([]byte{0, 0xd8})
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := decodeText(data)
		if err != nil {
			return
		}
		if again, err := decodeText(encode(text)); err != nil || again != text {
			t.Errorf("decodeText(%q) = %q, which reads back as %q, %v", data, text, again, err)
		}
	})
}
