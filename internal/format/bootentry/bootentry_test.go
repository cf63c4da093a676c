package bootentry

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

var hex = strings.Repeat("0123456789abcdef", 8)

const full = `title Example OS (2)
version 2
sort-key example
machine-id 6a9857a393724b7a981ebb5b8495b9ea
architecture x64
linux /sysupdate-image/ab/vmlinuz
initrd /sysupdate-image/ab/initrd
initrd /ucode.img
options root=UUID=1 composefs=HEX
devicetree /dtb
grub_users ""
`

func TestParse(t *testing.T) {
	text := strings.Replace(full, "HEX", hex, 1)
	want := Entry{
		Title: "Example OS (2)", Version: "2", SortKey: "example",
		MachineID: "6a9857a393724b7a981ebb5b8495b9ea", Architecture: "x64",
		Linux: "/sysupdate-image/ab/vmlinuz", Initrds: []string{"/sysupdate-image/ab/initrd", "/ucode.img"},
		Options: "root=UUID=1 composefs=" + hex,
		Other:   []KeyValue{{"devicetree", "/dtb"}},
	}
	got, err := Parse([]byte(text))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Parse = %+v, %v; want %+v", got, err, want)
	}
	if again, err := Parse(want.Encode()); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("Parse(Encode) = %+v, %v; want %+v", again, err, want)
	}
}

func TestParseTolerates(t *testing.T) {
	const text = "\r\n# comment\r\n\ttitle \t \"Quoted OS\" \r\nlonely\nlinux /old\nlinux /new\noptions a\roptions\tb  c\n"
	got, err := Parse([]byte(text))
	want := Entry{Title: "Quoted OS", Linux: "/new", Options: "a b  c"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Parse(%q) = %+v, %v; want %+v", text, got, err, want)
	}
}

func TestParseErrors(t *testing.T) {
	tests := map[string]string{
		"":                       "names no kernel",
		"title x\n":              "names no kernel",
		"uki-url \"\"\n":         "names no kernel",
		"linux /a\nefi /b\n":     "both linux and efi",
		"uki /a\nuki-url :b\n":   "both uki and uki-url",
		"linux /a\x00":           "not text",
		"linux /a\ntitle \xff\n": "not text",
	}
	for text, want := range tests {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) error is %v; want %q in it", text, err, want)
		}
	}
}

func TestDeployment(t *testing.T) {
	tests := []struct {
		entry Entry
		want  deployment.Target
		err   error
	}{
		{Entry{Linux: "/a", Options: "quiet composefs=" + hex}, deployment.Target{ID: deployment.ID(hex)}, nil},
		{Entry{Linux: "/a", Options: "composefs=?" + hex}, deployment.Target{ID: deployment.ID(hex), VerityOptional: true}, nil},
		{Entry{UKI: "/EFI/Linux/bootc/bootc_composefs-" + hex + ".efi"}, deployment.Target{ID: deployment.ID(hex)}, nil},
		{Entry{EFI: "/EFI/Linux/bootc/bootc_composefs-" + hex + ".efi"}, deployment.Target{ID: deployment.ID(hex)}, nil},
		{Entry{UKI: "/sysupdate-image/ab/" + UKIName(deployment.ID(hex))}, deployment.Target{ID: deployment.ID(hex)}, nil},
		{Entry{Linux: "/sysupdate-image/ab/" + UKIName(deployment.ID(hex))}, deployment.Target{ID: deployment.ID(hex)}, nil},
		{Entry{Linux: "/sysupdate-image/ab/vmlinuz"}, deployment.Target{}, deployment.ErrNoDeployment},
		{Entry{EFI: `\sysupdate-image\ab\` + hex + ".efi"}, deployment.Target{ID: deployment.ID(hex)}, nil},
		{Entry{EFI: "/EFI/Linux/other.efi"}, deployment.Target{}, deployment.ErrNoDeployment},
		{Entry{EFI: "/EFI/Linux/" + hex + ".efi"}, deployment.Target{}, deployment.ErrNoDeployment},
		{Entry{EFI: "/EFI/Linux/bootc/bootc_composefs-" + hex}, deployment.Target{}, deployment.ErrNoDeployment},
		{Entry{Linux: "/a", Options: "root=/dev/vda"}, deployment.Target{}, deployment.ErrNoDeployment},
	}
	for _, test := range tests {
		got, err := test.entry.Deployment()
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%+v.Deployment() = %v, %v; want %v, %v", test.entry, got, err, test.want, test.err)
		}
	}
	if _, err := (Entry{Options: "composefs=12"}).Deployment(); err == nil || errors.Is(err, deployment.ErrNoDeployment) {
		t.Errorf("Deployment of composefs=12: error is %v; want one about the id", err)
	}
}

func TestKernel(t *testing.T) {
	e := Entry{Linux: "/a/vmlinuz", Initrds: []string{"a/initrd", "//b"}}
	want := []string{"a/vmlinuz", "a/initrd", "b"}
	if got := e.Kernel(); !reflect.DeepEqual(got, want) {
		t.Errorf("Kernel() = %q; want %q", got, want)
	}
}

func TestEncodeText(t *testing.T) {
	e := Entry{Title: "\x00OS\xff\xfe\n\x1b[1m(\u00854)\x00", Linux: "/a", Options: "a\tb\x00c\x7f"}
	want := "title OS\uFFFD \x1b[1m(\u00854)\nlinux /a\noptions a\tb c\x7f\n"
	if got := string(e.Encode()); got != want {
		t.Errorf("Encode = %q; want %q", got, want)
	}
}

// Whatever an image calls itself, a loader can read the entry that it gets.
func FuzzEncode(f *testing.F) {
	f.Add("OS (2)", "2", "quiet", "/dtb")
	f.Add("OS\xff", "\x00", "a\nlinux /b", "\x00\"")
	f.Add("\"\r\"", "\" \"", "\t\u0085", "\"\"")
	f.Fuzz(func(t *testing.T, title, version, options, other string) {
		e := Entry{Title: title, Version: version, Linux: "/a", Options: options, Other: []KeyValue{{"devicetree", other}}}
		text := e.Encode()
		read, err := Parse(text)
		if err != nil || read.Linux != e.Linux {
			t.Fatalf("cannot read what was written: %v\n%q", err, text)
		}
		if string(read.Encode()) != string(text) {
			t.Errorf("written again: %q; want %q", read.Encode(), text)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte("linux \"\"\"\noptions \"a\" \"b\"\n"))
	f.Add([]byte("efi x\r\n#\ninitrd\n"))
	f.Add([]byte("linux \"\r\""))
	f.Add([]byte("linux \x01\n"))
	f.Add([]byte("uki-url \"\"\noptions a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			return
		}
		text := e.Encode()
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, text)
		}
		if string(again.Encode()) != string(text) {
			t.Errorf("written again: %q; want %q", again.Encode(), text)
		}
	})
}
