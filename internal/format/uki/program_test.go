package uki

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
)

func TestCheckProgram(t *testing.T) {
	program := ukitest.PE(ukitest.Section{Name: ".text", Content: strings.Repeat("code", 1000)})
	for name, tt := range map[string]struct {
		data       []byte
		arch, want string
	}{
		"a program":            {program, "amd64", ""},
		"another architecture": {program, "arm64", "another architecture (0x8664)"},
		"cut off":              {program[:2000], "amd64", `cut off in section ".text"`},
		"no sections":          {ukitest.PE(), "amd64", "nothing to run"},
		"two letters":          {append([]byte("MZ"), bytes.Repeat([]byte{0xa7, 0x31, 5}, 4000)...), "amd64", "not an EFI program"},
		"nothing":              {nil, "amd64", "not an EFI program"},
	} {
		err := CheckProgram(bytes.NewReader(tt.data), int64(len(tt.data)), tt.arch)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
}

func FuzzCheckProgram(f *testing.F) {
	f.Add(ukitest.UKI("quiet"))
	f.Fuzz(func(_ *testing.T, data []byte) { _ = CheckProgram(bytes.NewReader(data), int64(len(data)), "amd64") })
}
