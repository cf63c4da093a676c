// Package ukitest makes small EFI programs for tests, with sections but no code, and small
// initramfs archives.
package ukitest

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"slices"
)

// A Section is a section of an EFI program.
type Section struct{ Name, Content string }

// fileAlignment is what sections are padded to, as ukify does.
const fileAlignment = 512

// PE returns an EFI program of these sections.
func PE(sections ...Section) []byte {
	const headerAt = 64
	var b bytes.Buffer
	b.WriteString("MZ")
	b.Write(make([]byte, 58))
	put(&b, uint32(headerAt))
	b.WriteString("PE\x00\x00")
	optional := pe.OptionalHeader64{Magic: 0x20b, FileAlignment: fileAlignment, SectionAlignment: 4096, NumberOfRvaAndSizes: 16}
	put(&b, pe.FileHeader{
		Machine:              pe.IMAGE_FILE_MACHINE_AMD64,
		NumberOfSections:     uint16(len(sections)),
		SizeOfOptionalHeader: uint16(binary.Size(optional)),
	})
	put(&b, optional)
	at := aligned(b.Len() + len(sections)*binary.Size(pe.SectionHeader32{}))
	for i, s := range sections {
		h := pe.SectionHeader32{
			VirtualSize:      uint32(len(s.Content)),
			VirtualAddress:   uint32((i + 1) * 4096),
			SizeOfRawData:    uint32(aligned(len(s.Content))),
			PointerToRawData: uint32(at),
		}
		copy(h.Name[:], s.Name)
		put(&b, h)
		at += aligned(len(s.Content))
	}
	for _, s := range sections {
		pad(&b)
		b.WriteString(s.Content)
	}
	pad(&b)
	return b.Bytes()
}

// UKI returns a unified kernel image with a command line.
func UKI(cmdline string) []byte { return UKIWith(cmdline, "the initramfs") }

// UKIWith returns a unified kernel image with a command line and an initramfs.
func UKIWith(cmdline, initramfs string) []byte {
	return PE(
		Section{".osrel", "ID=test\n"},
		Section{".cmdline", cmdline},
		Section{".uname", "6.12.0-test"},
		Section{".linux", "the kernel"},
		Section{".initrd", initramfs},
	)
}

// Cpio returns an archive for an initramfs, of regular files: name, content,
// name, ….
func Cpio(files ...string) []byte {
	out := CpioEntry("usr", "", 0o040755)
	for i := 0; i < len(files); i += 2 {
		out = append(out, CpioEntry(files[i], files[i+1], 0o100644)...)
	}
	return append(out, CpioEntry("TRAILER!!!", "", 0)...)
}

// CpioEntry returns an entry of such an archive.
func CpioEntry(name, content string, mode int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	b.WriteString(name + "\x00")
	b.Write(make([]byte, (4-b.Len()%4)%4))
	b.WriteString(content)
	b.Write(make([]byte, (4-b.Len()%4)%4))
	return b.Bytes()
}

// Addon returns an addon with a command line.
func Addon(cmdline string) []byte { return PE(Section{".cmdline", cmdline}) }

func put(b *bytes.Buffer, v any) {
	if err := binary.Write(b, binary.LittleEndian, v); err != nil {
		panic(err) // a value of no fixed size
	}
}

func aligned(n int) int { return (n + fileAlignment - 1) / fileAlignment * fileAlignment }

func pad(b *bytes.Buffer) {
	b.Write(slices.Repeat([]byte{0}, aligned(b.Len())-b.Len()))
}
