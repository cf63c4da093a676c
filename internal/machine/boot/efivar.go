package boot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// EFIVars is where the kernel shows EFI variables, below the root.
const EFIVars = "sys/firmware/efi/efivars"

// loaderVendor is the vendor of the variables of the Boot Loader Interface.
const loaderVendor = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// LoaderVariable returns the text in a variable of the Boot Loader Interface,
// such as LoaderEntryDefault; root is the root of the running system. The
// error is fs.ErrNotExist if there is no such variable, or no EFI.
func LoaderVariable(root fs.FS, name string) (string, error) {
	data, err := bounded.ReadFile(root, EFIVars+"/"+name+"-"+loaderVendor, limits.Record)
	if err != nil {
		return "", err
	}
	text, err := decodeVariable(data)
	if err != nil {
		return "", fmt.Errorf("EFI variable %s: %w", name, err)
	}
	return text, nil
}

// Features of a boot loader, bits of the variable LoaderFeatures of the Boot
// Loader Interface.
const (
	featureBootCounting = 1 << 4
	featureXBOOTLDR     = 1 << 5
)

// loaderFeatures returns what the loader says that it can do. What does not say,
// known is false, was not started by EFI or by a loader without the Boot Loader
// Interface.
func loaderFeatures(root fs.FS) (features uint64, known bool, err error) {
	data, err := bounded.ReadFile(root, EFIVars+"/LoaderFeatures-"+loaderVendor, limits.Record)
	if found, err := bounded.Found(err); !found || err != nil {
		return 0, false, err
	}
	features, known = decodeFeatures(data)
	return features, known, nil
}

// decodeFeatures reads a number of eight bytes after the four of attributes.
func decodeFeatures(data []byte) (features uint64, ok bool) {
	const attributes = 4
	if len(data) != attributes+8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(data[attributes:]), true
}

// errNotText says that a variable has something else than text.
var errNotText = errors.New("value is not UTF-16 text")

// decodeVariable reads UTF-16 after the four bytes of attributes that efivarfs
// puts before each variable's value.
func decodeVariable(data []byte) (string, error) {
	if len(data) < 4 || len(data)%2 != 0 {
		return "", errNotText
	}
	var units []uint16
	for data = data[4:]; len(data) > 0; data = data[2:] {
		units = append(units, binary.LittleEndian.Uint16(data))
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00"), nil
}
