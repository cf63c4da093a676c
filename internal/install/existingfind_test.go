package install

import (
	"testing"
	"testing/fstest"
	"unicode/utf16"
)

// Where both boot loaders are on a disk, that counts which has booted the machine.
func TestBootsByGRUB(t *testing.T) {
	const variables = "sys/firmware/efi/efivars/"
	for name, tt := range map[string]struct {
		files fstest.MapFS
		want  bool
		warn  bool
	}{
		"BIOS":             {fstest.MapFS{}, true, false},
		"no variables":     {fstest.MapFS{"sys/firmware/efi/runtime": {}}, false, true},
		"GRUB, an old one": {fstest.MapFS{variables + "BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c": {}}, true, false},
		"GRUB":             {loaderInfo("GRUB 2.12"), true, false},
		"systemd-boot":     {loaderInfo("systemd-boot 257.9"), false, false},
	} {
		p, warned := ExistingPlan{}, false
		p.options.Host.Files = tt.files
		if got := p.bootsByGRUB(func(error) { warned = true }); got != tt.want || warned != tt.warn {
			t.Errorf("%s: bootsByGRUB = %t, warned %t; want %t, %t", name, got, warned, tt.want, tt.warn)
		}
	}
}

func loaderInfo(text string) fstest.MapFS {
	data := []byte{6, 0, 0, 0}
	for _, c := range utf16.Encode([]rune(text + "\x00")) {
		data = append(data, byte(c), byte(c>>8))
	}
	return fstest.MapFS{"sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f": {Data: data}}
}
