package luksheader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// header returns the beginning of an encrypted device.
func header(version uint16, size uint64, text string) []byte {
	b := make([]byte, 16<<10)
	copy(b, magic)
	binary.BigEndian.PutUint16(b[6:], version)
	binary.BigEndian.PutUint64(b[8:], size)
	copy(b[binarySize:], text)
	return b
}

func FuzzTokens(f *testing.F) {
	f.Add(header(2, 16<<10, `{"tokens":{"0":{"type":"systemd-tpm2"}}}`))
	f.Fuzz(func(t *testing.T, device []byte) {
		tokens, err := Tokens(bytes.NewReader(device))
		if err == nil && !slices.IsSorted(tokens) {
			t.Errorf("Tokens = %q; want them in order", tokens)
		}
	})
}

func TestTokens(t *testing.T) {
	const both = `{"keyslots":{},"tokens":{"1":{"type":"systemd-tpm2","keyslots":["2"]},"0":{"type":"systemd-recovery","keyslots":["1"]}}}`
	for name, tt := range map[string]struct {
		device []byte
		want   []string
		fails  bool
	}{
		"both":     {header(2, 16<<10, both), []string{Recovery, TPM2}, false},
		"twice":    {header(2, 16<<10, `{"tokens":{"0":{"type":"a"},"1":{"type":"a"}}}`), []string{"a"}, false},
		"none":     {header(2, 16<<10, `{"tokens":{}}`), nil, false},
		"damaged":  {header(2, 16<<10, `{"tokens":`), nil, true},
		"no size":  {header(2, 0, both), nil, true},
		"too much": {header(2, maxSize+1, both), nil, true},
		"short":    {[]byte(magic), nil, true},
	} {
		got, err := Tokens(bytes.NewReader(tt.device))
		if (err != nil) != tt.fails || !slices.Equal(got, tt.want) {
			t.Errorf("%s: Tokens = %q, %v; want %q", name, got, err, tt.want)
		}
	}
	for _, device := range [][]byte{header(1, 16<<10, both), make([]byte, 4096)} {
		if _, err := Tokens(bytes.NewReader(device)); !errors.Is(err, ErrNotLUKS2) {
			t.Errorf("Tokens = %v; want ErrNotLUKS2", err)
		}
	}
}
