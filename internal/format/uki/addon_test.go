package uki

import (
	"bytes"
	"debug/pe"
	"testing"
)

// An addon reads back, and is an EFI program as firmware wants it: for its architecture, with
// sections at multiples of their alignments, the entry point in the code, and nothing behind
// the end of the image.
func TestAddon(t *testing.T) {
	for goarch, machine := range map[string]uint16{"amd64": pe.IMAGE_FILE_MACHINE_AMD64, "arm64": pe.IMAGE_FILE_MACHINE_ARM64} {
		text, err := Addon(`console=ttyS0 a="b c"`, goarch)
		if err != nil {
			t.Fatal(err)
		}
		image, err := ReadAddon(bytes.NewReader(text))
		if err != nil || image.Cmdline != `console=ttyS0 a="b c"` {
			t.Errorf("%s: ReadAddon = %+v, %v; want the command line", goarch, image, err)
		}
		if err := CheckProgram(bytes.NewReader(text), int64(len(text)), goarch); err != nil {
			t.Errorf("%s: %v", goarch, err)
		}
		f, err := pe.NewFile(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		header := f.OptionalHeader.(*pe.OptionalHeader64)
		if f.Machine != machine || header.Subsystem != efiApplication || header.SizeOfHeaders%header.FileAlignment != 0 {
			t.Errorf("%s: machine %#x, header %+v", goarch, f.Machine, header)
		}
		end := header.SizeOfHeaders
		for _, s := range f.Sections {
			if s.VirtualAddress%header.SectionAlignment != 0 || s.Offset != end || s.Size < s.VirtualSize || s.VirtualAddress+s.VirtualSize > header.SizeOfImage {
				t.Errorf("%s: section %+v behind %d", goarch, s.SectionHeader, end)
			}
			end = s.Offset + s.Size
		}
		code := f.Section(".text")
		if header.AddressOfEntryPoint != code.VirtualAddress || int(end) != len(text) || f.Section(".sbat") == nil {
			t.Errorf("%s: entry %#x, %d of %d bytes, sections %v", goarch, header.AddressOfEntryPoint, end, len(text), f.Sections)
		}
	}
	if addon, err := Addon("a", "s390x"); err == nil {
		t.Errorf("an addon for s390x has %d bytes; want an error", len(addon))
	}
}
