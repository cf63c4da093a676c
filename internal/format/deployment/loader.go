package deployment

import (
	"fmt"
	"slices"
	"strings"
)

// LoaderRecord holds the Loader of a machine.
const LoaderRecord = StateDir + "/loader.json"

// Kinds of boot loaders.
const (
	SystemdBoot = "systemd-boot"
	GRUB        = "grub"
	NoLoader    = "none"
)

// LoaderKinds are those that are known.
var LoaderKinds = []string{SystemdBoot, GRUB, NoLoader}

// A Loader is the boot loader that was installed with a machine, and what was written for it.
// What somebody else has put in its place since then is not replaced.
type Loader struct {
	Kind    string
	Version string       // "" if it is not known
	Files   []LoaderFile // on the EFI system partition
	Config  string       // SHA-256 of what the loader reads beside the entries, "" if that is nothing
	BIOS    string       // version of what a BIOS starts, "" if it starts nothing
}

// A LoaderFile is a file by its path on the partition, and what was in it.
type LoaderFile struct{ Path, SHA256 string }

// Has reports whether a file was written with that content.
func (l Loader) Has(f LoaderFile) bool { return slices.Contains(l.Files, f) }

// ParseLoader reads a LoaderRecord. Unknown fields are skipped.
func ParseLoader(data []byte) (Loader, error) {
	r, err := parseRecord(data)
	if err != nil {
		return Loader{}, err
	}
	l := Loader{Kind: jsonMember[string](r, "loader"), Version: jsonMember[string](r, "version"), BIOS: jsonMember[string](r, "bios"), Config: jsonMember[string](r, "config")}
	eachObject(r, "files", func(object *jsonRecord) {
		l.Files = append(l.Files, LoaderFile{jsonMember[string](object, "path"), jsonMember[string](object, "sha256")})
	})
	if r.err != nil {
		return Loader{}, r.err
	}
	if !slices.Contains(LoaderKinds, l.Kind) {
		return Loader{}, fmt.Errorf("boot loader %q: want %s", l.Kind, strings.Join(LoaderKinds, ", "))
	}
	return l, nil
}

// Encode returns the record as JSON, for people as well.
func (l Loader) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  \"loader\": %s", quoteJSON(l.Kind))
	for _, m := range []struct{ name, value string }{{"version", l.Version}, {"bios", l.BIOS}, {"config", l.Config}} {
		if m.value != "" {
			fmt.Fprintf(&b, ",\n  %s: %s", quoteJSON(m.name), quoteJSON(m.value))
		}
	}
	for i, f := range l.Files {
		between := ","
		if i == 0 {
			between = ",\n  \"files\": ["
		}
		fmt.Fprintf(&b, "%s\n    {\"path\": %s, \"sha256\": %s}", between, quoteJSON(f.Path), quoteJSON(f.SHA256))
	}
	if len(l.Files) > 0 {
		b.WriteString("\n  ]")
	}
	b.WriteString("\n}\n")
	return []byte(b.String())
}
