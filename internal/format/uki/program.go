package uki

import (
	"debug/pe"
	"fmt"
	"io"
)

// machines are the architectures of EFI programs, by Go's names.
var machines = map[string]uint16{
	"amd64": pe.IMAGE_FILE_MACHINE_AMD64, "arm64": pe.IMAGE_FILE_MACHINE_ARM64, "386": pe.IMAGE_FILE_MACHINE_I386,
	"arm": pe.IMAGE_FILE_MACHINE_ARMNT, "riscv64": pe.IMAGE_FILE_MACHINE_RISCV64, "loong64": pe.IMAGE_FILE_MACHINE_LOONGARCH64,
}

// CheckProgram says why a file of a size is no whole EFI program for an architecture as Go
// spells it, nil if it is one.
func CheckProgram(r io.ReaderAt, size int64, goarch string) error {
	f, err := pe.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		return fmt.Errorf("not an EFI program: %w", err)
	}
	if want, known := machines[goarch]; known && f.Machine != want {
		return fmt.Errorf("an EFI program for another architecture (%#x)", f.Machine)
	}
	if f.OptionalHeader == nil || len(f.Sections) == 0 {
		return fmt.Errorf("not an EFI program: it has nothing to run")
	}
	for _, s := range f.Sections {
		if int64(s.Offset)+int64(s.Size) > size {
			return fmt.Errorf("an EFI program that is cut off in section %q", s.Name)
		}
	}
	return nil
}
