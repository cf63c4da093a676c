// Package bootcount reads what a boot loader that counts boots tells the system that it has
// booted, and has the policies for when such a boot fails.
//
// systemd-boot leaves the name of the boot entry, with the tries that are left, in the
// EFI variable LoaderBootCountPath. See "Automatic Boot Assessment" and "The Boot Loader
// Interface" of systemd. efivarfs shows a variable as a file: four bytes of attributes,
// then the value.
package bootcount

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// EFIVars is where the kernel shows EFI variables, below the root of the running system.
const EFIVars = "sys/firmware/efi/efivars"

// loaderVendor is the vendor of the variables of the Boot Loader Interface.
const loaderVendor = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// PathVariable names the boot entry that was booted, if the loader counts its boots.
const PathVariable = "LoaderBootCountPath"

// attributesSize is the size of the attributes before each variable's value, in bytes.
const attributesSize = 4

// Errors about values that the specification does not allow.
var (
	ErrNotText   = errors.New("value is not UTF-16 text")
	ErrMalformed = errors.New("not the path of a boot entry")
)

// ErrKexec reports that no boot loader started the running kernel. Then none counts its boot,
// which fs.ErrNotExist says.
var ErrKexec = fmt.Errorf("another kernel started this one (kexec): %w", fs.ErrNotExist)

// VariableFile returns the file, below the root of the running system, of a variable of
// the Boot Loader Interface.
func VariableFile(name string) string { return EFIVars + "/" + name + "-" + loaderVendor }

// Variable returns the value of a variable of the Boot Loader Interface, such as
// LoaderFeatures. root is the root of the running system. The error is fs.ErrNotExist if
// there is no such variable, or no EFI.
func Variable(root fs.FS, name string) ([]byte, error) {
	data, err := bounded.ReadFile(root, VariableFile(name), limits.Record)
	if err != nil {
		return nil, err
	}
	if len(data) < attributesSize {
		return nil, fmt.Errorf("EFI variable %s has %d bytes: %w", name, len(data), ErrNotText)
	}
	return data[attributesSize:], nil
}

// Text returns the text in a variable of the Boot Loader Interface, such as
// LoaderEntryDefault. The errors are those of Variable and ErrNotText.
func Text(root fs.FS, name string) (string, error) {
	value, err := Variable(root, name)
	if err != nil {
		return "", err
	}
	text, err := decodeText(value)
	if err != nil {
		return "", fmt.Errorf("EFI variable %s: %w", name, err)
	}
	return text, nil
}

// decodeText reads UTF-16 in little endian with a zero at the end.
func decodeText(value []byte) (string, error) {
	if len(value)%2 != 0 {
		return "", ErrNotText
	}
	var units []uint16
	for ; len(value) > 0; value = value[2:] {
		units = append(units, binary.LittleEndian.Uint16(value))
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00"), nil
}

// An Entry is a boot entry whose boots the loader counts.
type Entry struct {
	Name bootentry.Name
	UKI  bool // a unified kernel image in EFI/Linux, which has the tries in its own name
}

// Booted returns the boot entry that was booted, if the loader counts its boots. The
// error is fs.ErrNotExist if this boot is not counted, also ErrKexec then, and ErrMalformed
// if it is but the loader does not name an entry.
func Booted(root fs.FS) (Entry, error) {
	file, err := Text(root, PathVariable)
	if err == nil && ByKexec(root) {
		return Entry{}, ErrKexec
	}
	if errors.Is(err, ErrNotText) {
		return Entry{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err != nil {
		return Entry{}, err
	}
	name := path.Base(strings.ReplaceAll(file, `\`, "/"))
	stem, isUKI := strings.CutSuffix(name, ".efi")
	if isUKI {
		name = stem + bootentry.Suffix
	}
	parsed, err := bootentry.ParseName(name)
	if err != nil {
		return Entry{}, fmt.Errorf("EFI variable %s: %w: %w", PathVariable, ErrMalformed, err)
	}
	return Entry{Name: parsed, UKI: isUKI}, nil
}

// mostTries is the largest number of tries, used and left, that is taken for a count.
const mostTries = 99

// Doubt says why the numbers cannot be those of a loader that counts, "" if they can: it has
// used up one try for this boot, at least.
func (e Entry) Doubt() string {
	switch n := e.Name; {
	case !n.Counted:
		return "the entry has no tries"
	case n.TriesDone == 0:
		return "it used up no try"
	case n.TriesLeft > mostTries || n.TriesDone > mostTries:
		return fmt.Sprintf("it has %d tries left after %d", n.TriesLeft, n.TriesDone)
	}
	return ""
}

// A Policy is what follows a failed boot.
type Policy string

// The policies, as the kernel argument OnFailure names them.
const (
	Reboot    Policy = "reboot"
	PowerOff  Policy = "poweroff"
	Emergency Policy = "emergency" // stay, with a shell where systemd gives one
)

// OnFailure is the kernel argument with the Policy.
const OnFailure = "sysupdate-image.on-failure"

// PolicyOf returns the policy on a kernel command line, "" if it has none, or one that is
// not known.
func PolicyOf(cmdline kcmdline.Cmdline) Policy {
	value, _ := cmdline.Last(OnFailure)
	switch p := Policy(value); p {
	case Reboot, PowerOff, Emergency:
		return p
	}
	return ""
}
