package boot

import (
	"encoding/binary"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
)

func TestMiscount(t *testing.T) {
	const base = "sysupdate-image-000002-b00000000000"
	for _, tt := range []struct{ file, announced, want string }{
		{base + "+2-1.conf", base + "+2-1.conf", ""},
		{base + "+2-1.conf", "SYSUPDATE-IMAGE-000002-B00000000000+2-1.conf", ""},
		{base + "+0-3.conf", base + "+0-3.conf", ""},
		{base + "+0-9.conf", base + "+0-9.conf", ""},
		{base + ".conf", "", ""},                 // it is good
		{base + ".conf", base + "+2-1.conf", ""}, // and was blessed in this boot
		{base + "+3-0.conf", "", "it announced no entry"},
		{base + "+3-0.conf", base + "+2-1.conf", "it announced " + base + "+2-1.conf, and the entry is " + base + "+3-0.conf"},
		{base + "+2-1.conf", base + "+1-2.conf", "it announced " + base + "+1-2.conf, and the entry is " + base + "+2-1.conf"},
		{base + "+2-1.conf", "other+2-1.conf", "it announced other+2-1.conf"},
		{base + "+3-0.conf", base + "+3-0.conf", "it used up no try"},
		{base + "+99999.conf", base + "+99999.conf", "it used up no try"},
		{base + "+2-1.conf", base + ".conf", "the entry has no tries"},
	} {
		running := fstest.MapFS{}
		if tt.announced != "" {
			setVariable(running, "LoaderBootCountPath", `\loader\entries\`+tt.announced)
		}
		want := ""
		if tt.want != "" {
			want = "not counted by the loader: " + tt.want
		}
		if got := Miscount(running, EntryFile{File: tt.file}); got != want {
			t.Errorf("%s, announced %q: %q; want %q", tt.file, tt.announced, got, want)
		}
	}
	running := fstest.MapFS{"proc/sys/kernel/bootloader_type": {Data: []byte("208\n")}}
	for range 2 { // it had booted a good entry, or one on trial
		if got := Miscount(running, EntryFile{File: base + "+2-1.conf"}); got != "not counted by the loader: another kernel started this one (kexec)" {
			t.Errorf("after kexec: %q", got)
		}
		setVariable(running, "LoaderBootCountPath", `\loader\entries\`+base+"+2-1.conf")
	}
}

// setVariable makes a text the value of a variable of the loader.
func setVariable(running fstest.MapFS, name, value string) {
	data := []byte{6, 0, 0, 0}
	for _, u := range utf16.Encode([]rune(value + "\x00")) {
		data = binary.LittleEndian.AppendUint16(data, u)
	}
	running[bootcount.VariableFile(name)] = &fstest.MapFile{Data: data}
}
