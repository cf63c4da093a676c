package grub

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// BIOSDir is where an image has the modules of GRUB for a BIOS.
const BIOSDir = "usr/lib/grub/i386-pc"

// biosVersion returns the version of an image's GRUB for a BIOS, "" if it has none.
func biosVersion(open Open) (string, error) {
	boot, err := open(BIOSDir + "/boot.img")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if err := boot.Close(); err != nil {
		return "", err
	}
	const unknown = "of unknown version"
	f, err := open(BIOSDir + "/modinfo.sh")
	if errors.Is(err, fs.ErrNotExist) {
		return unknown, nil
	}
	if err != nil {
		return "", err
	}
	text, err := bounded.ReadAll(f, limits.Text)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "grub_version="); ok {
			return strings.Trim(value, `"`), nil
		}
	}
	return unknown, nil
}

// modules are those that a core image for a BIOS has, with those that they need: what reads the
// boot partition and the configuration, and boots a kernel.
var modules = []string{
	"biosdisk", "part_gpt", "fat", "normal", "configfile", "linux", "chain", "loadenv", "test", "regexp", "search", "echo", "sleep", "reboot",
	"halt", "ls", "cat", "serial", "terminal", "all_video", "gzio", "probe",
}

// readBIOS reads what a core image is made of.
func readBIOS(open Open) ([]File, error) {
	text, err := readFirst(open, []string{BIOSDir + "/moddep.lst"})
	if err != nil {
		return nil, err
	}
	names := []string{"boot.img", "diskboot.img", "kernel.img", "lzma_decompress.img", "moddep.lst"}
	for _, name := range withNeeds(string(text), modules) {
		names = append(names, name+".mod")
	}
	var files []File
	for _, name := range names {
		content, err := readFirst(open, []string{BIOSDir + "/" + name})
		if err == nil && content == nil {
			err = fmt.Errorf("the image's GRUB for a BIOS is not complete: /%s/%s is missing", BIOSDir, name)
		}
		if err != nil {
			return nil, err
		}
		files = append(files, File{name, content})
	}
	return files, nil
}

// withNeeds returns modules with those that they need. Text says what each needs, as moddep.lst
// does.
func withNeeds(text string, modules []string) (all []string) {
	needs := make(map[string][]string)
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		needs[name] = strings.Fields(rest)
	}
	for todo := slices.Clone(modules); len(todo) > 0; todo = todo[1:] {
		if !slices.Contains(all, todo[0]) {
			all = append(all, todo[0])
			todo = append(todo, needs[todo[0]]...)
		}
	}
	return all
}

// ModuleFiles returns what a core image for a BIOS is made of, by the names of the files.
func (l Loader) ModuleFiles() []File { return l.modules }

// CoreArguments returns the arguments of grub-mkimage(1) that make a core image from the files
// in a directory. The entries are on the partition with a number, on the disk that the BIOS has
// booted from.
func CoreArguments(dir, output, number string) []string {
	args := []string{"--format=i386-pc", "--directory=" + dir, "--output=" + output, "--prefix=(,gpt" + number + ")/" + boot.GRUBDir}
	return append(args, modules...)
}
