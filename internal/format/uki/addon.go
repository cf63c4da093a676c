package uki

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"fmt"
)

// What an addon is made of besides its command line: a generation number for shim's
// revocations, and a program that says, when somebody starts it, that it cannot be.
const (
	addonSBAT = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n" +
		"uki-addon.sysupdate-image,1,sysupdate-image,uki-addon,1,-\n"
	alignmentInFile   = 512
	alignmentInMemory = 4096
	efiApplication    = 10 // the subsystem
)

// addonMachines has the machine types and the program "return EFI_UNSUPPORTED", by Go's names of
// architectures.
var addonMachines = map[string]struct {
	machine uint16
	program []byte
}{
	// mov rax, 0x8000000000000003; ret
	"amd64": {pe.IMAGE_FILE_MACHINE_AMD64, []byte{0x48, 0xb8, 3, 0, 0, 0, 0, 0, 0, 0x80, 0xc3}},
	// mov x0, #3; movk x0, #0x8000, lsl #48; ret
	"arm64": {pe.IMAGE_FILE_MACHINE_ARM64, []byte{0x60, 0, 0x80, 0xd2, 0, 0, 0xf0, 0xf2, 0xc0, 3, 0x5f, 0xd6}},
}

// Addon returns an addon with a kernel command line, which is not signed; see systemd-stub(7).
// It is for an architecture, as Go spells it.
func Addon(cmdline, goarch string) ([]byte, error) {
	target, ok := addonMachines[goarch]
	if !ok {
		return nil, fmt.Errorf("cannot make an addon for %s", goarch)
	}
	const readOnly = pe.IMAGE_SCN_CNT_INITIALIZED_DATA | pe.IMAGE_SCN_MEM_READ
	sections := []section{
		{".text", target.program, pe.IMAGE_SCN_CNT_CODE | pe.IMAGE_SCN_MEM_EXECUTE | pe.IMAGE_SCN_MEM_READ},
		{".sbat", []byte(addonSBAT), readOnly},
		{".cmdline", append([]byte(cmdline), 0), readOnly},
	}
	return program(target.machine, sections), nil
}

type section struct {
	name    string
	content []byte
	flags   uint32
}

// program returns an EFI program, whose first section is its code.
func program(machine uint16, sections []section) []byte {
	optional := pe.OptionalHeader64{
		Magic: 0x20b, SectionAlignment: alignmentInMemory, FileAlignment: alignmentInFile, Subsystem: efiApplication,
		AddressOfEntryPoint: alignmentInMemory, BaseOfCode: alignmentInMemory, NumberOfRvaAndSizes: 16,
		SizeOfCode:         uint32(align(len(sections[0].content), alignmentInFile)),
		DllCharacteristics: pe.IMAGE_DLLCHARACTERISTICS_NX_COMPAT | pe.IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
	}
	const stub = 64 // the header that DOS would look at, with where the next is
	headers := stub + 4 + binary.Size(pe.FileHeader{}) + binary.Size(optional) + len(sections)*binary.Size(pe.SectionHeader32{})
	inFile, inMemory := align(headers, alignmentInFile), alignmentInMemory
	optional.SizeOfHeaders = uint32(inFile)
	var table []pe.SectionHeader32
	for _, s := range sections {
		h := pe.SectionHeader32{
			VirtualSize: uint32(len(s.content)), VirtualAddress: uint32(inMemory),
			SizeOfRawData: uint32(align(len(s.content), alignmentInFile)), PointerToRawData: uint32(inFile), Characteristics: s.flags,
		}
		copy(h.Name[:], s.name)
		table = append(table, h)
		inFile += int(h.SizeOfRawData)
		inMemory += align(len(s.content), alignmentInMemory)
	}
	optional.SizeOfImage = uint32(inMemory)
	file := pe.FileHeader{
		Machine: machine, NumberOfSections: uint16(len(sections)), SizeOfOptionalHeader: uint16(binary.Size(optional)),
		Characteristics: pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_LINE_NUMS_STRIPPED | pe.IMAGE_FILE_LARGE_ADDRESS_AWARE,
	}
	var b bytes.Buffer
	b.WriteString("MZ")
	b.Write(make([]byte, stub-6))
	put(&b, uint32(stub))
	b.WriteString("PE\x00\x00")
	put(&b, file)
	put(&b, optional)
	put(&b, table)
	for _, s := range sections {
		b.Write(make([]byte, align(b.Len(), alignmentInFile)-b.Len()))
		b.Write(s.content)
	}
	b.Write(make([]byte, align(b.Len(), alignmentInFile)-b.Len()))
	return b.Bytes()
}

func align(n, to int) int { return (n + to - 1) / to * to }

// put writes a value of a fixed size.
func put(b *bytes.Buffer, v any) {
	if err := binary.Write(b, binary.LittleEndian, v); err != nil {
		panic(err) // its size is fixed
	}
}
