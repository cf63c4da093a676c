// Package confd reads directories of configuration files the way systemd does, for
// sysusers.d(5), tmpfiles.d(5) and their like: which file counts where several have a name,
// lines and comments, quoted words, and specifiers. It hides that an image is not the
// machine: what only the machine knows, such as its id, stands for anything.
package confd

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Dirs returns the directories with configuration of a kind, such as "tmpfiles.d", the one
// whose files count before the others first.
func Dirs(kind string) []string {
	return []string{"etc/" + kind, "run/" + kind, "usr/local/lib/" + kind, "usr/lib/" + kind}
}

// A File is one that counts.
type File struct {
	Path string // below the root
	Text string
}

// Files returns the files of a kind that count, in the order in which they are read: by
// name, whatever directory they are in. fsys must follow links as chroot(2) does. A file
// that is empty, or a link to /dev/null, masks those of its name in later directories.
func Files(fsys fs.FS, kind string) ([]File, error) {
	first := make(map[string]string) // path, by name
	for _, dir := range Dirs(kind) {
		entries, err := fs.ReadDir(fsys, dir)
		if found, err := bounded.Found(err); err != nil {
			return nil, err
		} else if !found {
			continue
		}
		for _, e := range entries {
			name := e.Name()
			// A link that leads nowhere hides nothing.
			if !counts(name) || first[name] != "" || !IsMask(fsys, path.Join(dir, name)) && !leads(fsys, path.Join(dir, name)) {
				continue
			}
			first[name] = path.Join(dir, name)
		}
	}
	var files []File
	for _, name := range slices.Sorted(maps.Keys(first)) {
		if IsMask(fsys, first[name]) {
			continue
		}
		text, err := bounded.ReadFile(fsys, first[name], limits.Text)
		if errors.Is(err, bounded.ErrNotRegular) {
			continue // it hides others, and says nothing itself
		}
		if err != nil {
			return nil, err
		}
		files = append(files, File{first[name], string(text)})
	}
	return files, nil
}

// counts reports whether a name is one of a configuration file.
func counts(name string) bool {
	return strings.HasSuffix(name, ".conf") && !strings.HasPrefix(name, ".")
}

// IsMask reports whether a file is a link to /dev/null, which an image need not have.
func IsMask(fsys fs.FS, name string) bool {
	target, err := fs.ReadLink(fsys, name)
	if err == nil && !path.IsAbs(target) {
		target = path.Join("/", path.Dir(name), target)
	}
	return err == nil && path.Clean(target) == "/dev/null"
}

func leads(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return err == nil
}

// A Line is one that is neither empty nor a comment.
type Line struct {
	Number int // from 1
	Text   string
}

// Lines returns the lines of a file.
func Lines(text string) (lines []Line) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.Trim(line, whitespace); line != "" && line[0] != '#' {
			lines = append(lines, Line{number, line})
		}
	}
	return lines
}

// A Problem is a line without effect.
type Problem struct {
	File string // below the root
	Line int
	Err  error
}

// whitespace separates words.
const whitespace = " \t\n\r"
