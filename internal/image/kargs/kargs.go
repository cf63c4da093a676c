// Package kargs decides on the kernel arguments of a new deployment: those of
// the old one, changed as the image's kargs.d changed. Its file format and
// rule are bootc's.
package kargs

import (
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/tomlfile"
)

// Dir is where an image has its kernel arguments, below its root.
const Dir = "usr/lib/bootc/kargs.d"

// file is a file in kargs.d.
type file struct {
	Kargs              []string `toml:"kargs"`
	MatchArchitectures []string `toml:"match-architectures"`
}

// architectures are the names that match-architectures has for Go's.
var architectures = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "386": "x86", "arm": "arm", "ppc64le": "powerpc64",
	"riscv64": "riscv64", "s390x": "s390x", "loong64": "loongarch64",
}

// Architecture returns the name that match-architectures has for an architecture as Go
// spells it.
func Architecture(goarch string) string { return architectures[goarch] }

// A Sourced is a kernel argument and the file in Dir that asks for it.
type Sourced struct {
	kcmdline.Arg
	File string // its name in Dir
}

// Load returns the kernel arguments that fsys, an image's root, asks for on
// an architecture (named as GOARCH), file after file by name. An image without
// kargs.d asks for none. Keys that bootc does not know are an error, as they
// are for bootc.
func Load(fsys fs.FS, goarch string) ([]string, error) {
	sourced, err := LoadSourced(fsys, goarch)
	var all []string
	for _, a := range sourced {
		all = append(all, a.String())
	}
	return all, err
}

// LoadSourced is Load, with the file of each argument.
func LoadSourced(fsys fs.FS, goarch string) ([]Sourced, error) {
	names, err := fs.Glob(fsys, Dir+"/*.toml")
	if err != nil {
		return nil, fmt.Errorf("cannot list %s: %w", Dir, err)
	}
	slices.Sort(names)
	var all []Sourced
	var read int64
	for _, name := range names {
		data, err := bounded.ReadFile(fsys, name, limits.Text)
		if err != nil {
			return nil, fmt.Errorf("cannot read kernel arguments: %w", err)
		}
		read += int64(len(data))
		if err := limits.TOML.Check(read); err != nil {
			return nil, fmt.Errorf("cannot read kernel arguments: %s: %w", path.Base(name), err)
		}
		args, err := parse(data, goarch)
		if err != nil {
			return nil, fmt.Errorf("cannot read kernel arguments: %s: %w", path.Base(name), err)
		}
		for _, a := range args {
			all = append(all, Sourced{a, path.Base(name)})
		}
	}
	return all, nil
}

// parse returns the arguments in a file, if it is for goarch.
func parse(data []byte, goarch string) (kcmdline.Cmdline, error) {
	var f file
	meta, err := tomlfile.Decode(string(data), &f)
	if err != nil {
		return nil, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("unknown key %s", unknown[0])
	}
	if !meta.IsDefined("kargs") {
		return nil, fmt.Errorf("no key kargs")
	}
	if meta.IsDefined("match-architectures") && !slices.Contains(f.MatchArchitectures, architectures[goarch]) {
		return nil, nil
	}
	return parseAll(f.Kargs), nil
}

// Next returns the kernel command line for target: the current one, without what only old
// asks for, with what only now asks for, and with target in place of the deployment that it
// named. What the administrator added stays.
func Next(current string, old, now []string, target deployment.Target) string {
	come := parseAll(now)
	before, after := setOf(parseAll(old)), setOf(come)
	var next, added kcmdline.Cmdline
	for _, a := range kcmdline.Parse(current) {
		if before[a] && !after[a] {
			continue
		}
		next = append(next, a)
	}
	have := setOf(next)
	for _, a := range come {
		if !before[a] && !have[a] && a != endOfArgs {
			added, have[a] = append(added, a), true
		}
	}
	next = slices.Insert(next, EndOfKernelArgs(next), added...)
	return next.Without("composefs.digest").With("composefs", target.String()).String()
}

// endOfArgs ends what is for the kernel; the rest is for init, and no image's.
var endOfArgs = kcmdline.Arg{Key: "--"}

// EndOfKernelArgs returns the index of "--", after which all is for init.
func EndOfKernelArgs(c kcmdline.Cmdline) int {
	if i := slices.Index(c, endOfArgs); i >= 0 {
		return i
	}
	return len(c)
}

// setOf returns the arguments as a set: there may be thousands, and each is looked
// up among the others.
func setOf(args kcmdline.Cmdline) map[kcmdline.Arg]bool {
	set := make(map[kcmdline.Arg]bool, len(args))
	for _, a := range args {
		set[a] = true
	}
	return set
}

func parseAll(args []string) kcmdline.Cmdline {
	var all kcmdline.Cmdline
	for _, a := range args {
		all = append(all, kcmdline.Parse(a)...)
	}
	return all
}
