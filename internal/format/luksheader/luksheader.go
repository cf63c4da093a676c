// Package luksheader reads from the header of an encrypted device what may open it. It hides the
// layout of LUKS2; see its on-disk format specification.
package luksheader

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The types of what systemd enrols.
const (
	TPM2     = "systemd-tpm2"
	Recovery = "systemd-recovery"
)

// ErrNotLUKS2 says that a device has no header of LUKS2.
var ErrNotLUKS2 = errors.New("it has no LUKS2 header")

const (
	magic      = "LUKS\xba\xbe"
	version    = 2
	binarySize = 4096
	// maxSize is what the largest header has, in bytes.
	maxSize = 4 << 20
)

// Tokens returns the types of the tokens in the header of a device, in order. A key slot without a
// token, as that of a passphrase, is not among them.
func Tokens(device io.ReaderAt) ([]string, error) {
	var head [16]byte
	if _, err := device.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	if string(head[:6]) != magic || binary.BigEndian.Uint16(head[6:]) != version {
		return nil, ErrNotLUKS2
	}
	size := binary.BigEndian.Uint64(head[8:])
	if size <= binarySize || size > maxSize {
		return nil, fmt.Errorf("the LUKS2 header claims to have %d bytes", size)
	}
	var area struct {
		Tokens map[string]struct{ Type string }
	}
	// Zeros follow the text.
	err := json.NewDecoder(io.NewSectionReader(device, binarySize, int64(size)-binarySize)).Decode(&area)
	if err != nil {
		return nil, fmt.Errorf("the LUKS2 header is damaged: %w", err)
	}
	var types []string
	for _, t := range area.Tokens {
		types = append(types, t.Type)
	}
	slices.Sort(types)
	return slices.Compact(types), nil
}
