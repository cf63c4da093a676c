// Package bootentry reads and writes boot entries of Type #1 of the Boot Loader
// Specification and their names, which contain the tries left, and sorts them as
// systemd-boot(7) does.
package bootentry

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

// An Entry is what the file of a boot entry says. Paths start at the root of
// the partition that holds the entry.
type Entry struct {
	Title        string
	Version      string
	SortKey      string
	MachineID    string
	Linux        string   // kernel, or unified kernel image
	Initrds      []string // in the order in which the kernel gets them
	Options      string   // kernel command line; several lines are joined with a space
	EFI          string   // EFI program
	UKI          string   // unified kernel image
	Architecture string
	Other        []KeyValue // every other line, in order
}

// A KeyValue is a line of an entry's file.
type KeyValue struct{ Key, Value string }

// Parse reads the file of a boot entry as systemd-boot does. A carriage return ends a line,
// too. A line without a value is skipped. The last of several lines with the same key
// counts, except that initrd and options add up. Unknown keys are kept in Other. The error
// says why no loader can boot the entry.
func Parse(data []byte) (Entry, error) {
	var e Entry
	if bytes.IndexByte(data, 0) >= 0 || !utf8.Valid(data) {
		return e, errors.New("boot entry is not text")
	}
	for line := range strings.FieldsFuncSeq(string(data), endsLine) {
		line = strings.Trim(line, " \t")
		i := strings.IndexAny(line, " \t")
		if i < 0 || line[0] == '#' {
			continue
		}
		if value := unquote(strings.TrimLeft(line[i:], " \t")); value != "" {
			e.set(line[:i], value)
		}
	}
	return e, e.check()
}

func endsLine(r rune) bool { return r == '\n' || r == '\r' }

func (e *Entry) set(key, value string) {
	switch key {
	case "initrd":
		e.Initrds = append(e.Initrds, value)
	case "options":
		if e.Options != "" {
			value = e.Options + " " + value
		}
		e.Options = value
	default:
		for _, f := range e.fields() {
			if f.key == key {
				*f.value = value
				return
			}
		}
		e.Other = append(e.Other, KeyValue{key, value})
	}
}

// A field is a key with one value, and where an Entry keeps it.
type field struct {
	key   string
	value *string
}

// fields returns the keys with one value in the order in which they are written.
func (e *Entry) fields() []field {
	return []field{
		{"title", &e.Title}, {"version", &e.Version}, {"sort-key", &e.SortKey},
		{"machine-id", &e.MachineID}, {"architecture", &e.Architecture},
		{"linux", &e.Linux}, {"efi", &e.EFI}, {"uki", &e.UKI},
	}
}

// unquote takes off the quotes around a value, as systemd-boot does.
func unquote(s string) string {
	if quoted(s) {
		s = s[1 : len(s)-1]
	}
	return strings.Trim(s, " \t")
}

func quoted(s string) bool {
	return len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"'
}

func (e *Entry) check() error {
	var keys []string
	for _, f := range []field{{"linux", &e.Linux}, {"efi", &e.EFI}, {"uki", &e.UKI}} {
		if *f.value != "" {
			keys = append(keys, f.key)
		}
	}
	for _, o := range e.Other {
		if o.Key == UKIURL {
			keys = append(keys, o.Key)
		}
	}
	switch len(keys) {
	case 0:
		return errors.New("boot entry names no kernel: it has neither linux, uki nor efi")
	case 1:
		return nil
	}
	return fmt.Errorf("boot entry has both %s and %s", keys[0], keys[1])
}

// Encode returns the entry as a file, which is text whatever the values are. A line
// break or a NUL in one becomes a space, since the format has no way to write it, and
// what is not UTF-8 a replacement character.
func (e Entry) Encode() []byte {
	var b bytes.Buffer
	for _, f := range e.fields() {
		encodeLine(&b, f.key, *f.value)
	}
	for _, initrd := range e.Initrds {
		encodeLine(&b, "initrd", initrd)
	}
	encodeLine(&b, "options", e.Options)
	for _, o := range e.Other {
		encodeLine(&b, o.Key, o.Value)
	}
	return b.Bytes()
}

func encodeLine(b *bytes.Buffer, key, value string) {
	value = strings.Trim(strings.Map(writable, strings.ToValidUTF8(value, "\uFFFD")), " \t")
	if value == "" {
		return
	}
	if quoted(value) {
		value = `"` + value + `"` // the loader takes off one pair
	}
	fmt.Fprintf(b, "%s %s\n", key, value)
}

func writable(r rune) rune {
	if r == '\n' || r == '\r' || r == 0 {
		return ' '
	}
	return r
}

// Deployment returns what the entry boots, by composefs= in its options or by
// the name of its unified kernel image. The error is deployment.ErrNoDeployment
// for another operating system's entry.
func (e Entry) Deployment() (deployment.Target, error) {
	t, err := deployment.FromCmdline(kcmdline.Parse(e.Options))
	if !errors.Is(err, deployment.ErrNoDeployment) {
		return t, err
	}
	for _, path := range []string{e.UKI, e.EFI, e.Linux} {
		if hex, _, ok := ukiFor(path); ok {
			id, err := deployment.ParseID(hex)
			return deployment.Target{ID: id}, err
		}
	}
	return t, err
}

// Keys of other lines that are about what is booted.
const (
	DeviceTree = "devicetree"
	Overlays   = "devicetree-overlay" // several, with spaces between them
	UKIURL     = "uki-url"            // a unified kernel image to be fetched
	Profile    = "profile"            // of a unified kernel image
)

// DeviceTree returns the device tree that the entry names, "" if it names none. As the
// loader has it, the last line counts.
func (e Entry) DeviceTree() (name string) {
	for _, kv := range e.Other {
		if kv.Key == DeviceTree {
			name = kv.Value
		}
	}
	return name
}

// Kernel returns the paths of the files that the entry boots, without a slash
// at their beginning.
func (e Entry) Kernel() []string {
	all := append([]string{e.Linux, e.EFI, e.UKI}, e.Initrds...)
	for _, kv := range e.Other {
		switch kv.Key {
		case DeviceTree:
			all = append(all, kv.Value)
		case Overlays:
			all = append(all, strings.Fields(kv.Value)...)
		}
	}
	var paths []string
	for _, p := range all {
		if p = strings.TrimLeft(p, "/"); p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}
