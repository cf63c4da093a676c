package house

import (
	"debug/elf"
	"io"
	"testing"
)

// interpreter returns the program interpreter that an ELF file asks for, ""
// if it is static.
func interpreter(t *testing.T, file string) string {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name, err := io.ReadAll(p.Open())
			if err != nil {
				t.Fatal(err)
			}
			return string(name)
		}
	}
	return ""
}
