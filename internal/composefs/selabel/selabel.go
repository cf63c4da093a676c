// Package selabel computes the SELinux label of each file of an image from the image's own
// policy. It hides the policy's files, their syntax, and the search among thousands of
// regular expressions.
//
// The files are described in selabel_file(5). Where that page and composefs-rs
// differ, composefs-rs is followed, since labels are part of an image's digest:
// the last line that matches wins, whether it is a literal path or not.
package selabel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A Labeler holds the labels of one policy. Its nil pointer is the policy of
// an image that has none: no file has a label. A Labeler is not safe for
// concurrent use.
type Labeler struct {
	specs   []spec
	index   index
	aliases map[string]string // path → the path whose label it has
	size    int64             // of all specs, in instructions
	budget  budget
}

// Load reads the policy that etc/selinux/config of an image names. open
// returns the content of a file by its path without a leading slash; its error
// is fs.ErrNotExist if the image has no such file. An image without that file,
// or with no SELINUXTYPE in it, has no policy: Load returns nil and no error.
//
// Where ctx ends, or labels take longer than limits.Labelling, no further file has
// a label, and Err tells why.
func Load(ctx context.Context, open func(path string) ([]byte, error)) (*Labeler, error) {
	config, err := open("etc/selinux/config")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read SELinux configuration: %w", err)
	}
	name, ok := policyName(config)
	if !ok {
		return nil, nil
	}
	dir := "etc/selinux/" + name + "/contexts/files/"
	if !fs.ValidPath(dir + "file_contexts") {
		return nil, fmt.Errorf("etc/selinux/config: SELINUXTYPE=%s is not the name of a policy", name)
	}
	l := &Labeler{aliases: map[string]string{}, budget: newBudget(ctx)}
	if err := l.load(dir, open); err != nil {
		return nil, fmt.Errorf("cannot read SELinux policy: %w", err)
	}
	l.index.build(l.specs)
	return l, nil
}

// Err returns why files were left without a label that may have one: nil if none
// was.
func (l *Labeler) Err() error {
	if l == nil || l.budget.err == nil {
		return nil
	}
	return fmt.Errorf("cannot give files the labels of the SELinux policy: %w", l.budget.err)
}

// Content returns what is in a regular file that open opens, for LoadTree. It is an error if
// that is more than any file of a policy has.
func Content[R io.ReadCloser](n *tree.Node, open func(*tree.Node) (R, error)) ([]byte, error) {
	r, err := open(n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return bounded.ReadAll(r, limits.Contexts)
}

// LoadTree is Load for an image that is a tree; content returns what is in a
// regular file. Symbolic links are not followed.
func LoadTree(ctx context.Context, root *tree.Node, content func(*tree.Node) ([]byte, error)) (*Labeler, error) {
	return Load(ctx, func(path string) ([]byte, error) {
		n := root
		for name := range strings.SplitSeq(path, "/") {
			if !n.IsDir() {
				return nil, fmt.Errorf("%s: not a directory before %q", path, name)
			}
			if n = n.Entry(name); n == nil {
				return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
			}
		}
		if !n.IsRegular() {
			return nil, fmt.Errorf("%s: not a regular file", path)
		}
		return content(n)
	})
}

// load reads the files of the policy in dir.
func (l *Labeler) load(dir string, open func(string) ([]byte, error)) error {
	for _, f := range []struct {
		name     string
		optional bool
		parse    func(name string, data []byte) error
	}{
		{"file_contexts", false, l.parseContexts},
		{"file_contexts.local", true, l.parseContexts},
		{"file_contexts.homedirs", true, l.parseContexts},
		{"file_contexts.subs", true, l.parseSubs},
		{"file_contexts.subs_dist", true, l.parseSubs},
	} {
		data, err := open(dir + f.name)
		if f.optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := f.parse(dir+f.name, data); err != nil {
			return err
		}
	}
	return nil
}

// policyName returns the value of the first SELINUXTYPE= in etc/selinux/config.
func policyName(config []byte) (string, bool) {
	for line := range strings.Lines(string(config)) {
		key, value, ok := strings.Cut(line, "=")
		if ok && strings.EqualFold(strings.TrimSpace(key), "SELINUXTYPE") {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// Label returns the label of the file at the absolute path with the given
// st_mode, and whether the policy gives it one. The path is that in the image;
// the policy's substitutions are made here, from the root down, so that what
// is below a substituted directory is substituted too.
func (l *Labeler) Label(path string, mode uint32) (label string, ok bool) {
	if l == nil {
		return "", false
	}
	i, ok := l.index.find(l.specs, latin1(l.resolve(path)+typeCode(mode)), &l.budget)
	if !ok || l.specs[i].context == "<<none>>" {
		return "", false
	}
	return l.specs[i].context, true
}

// resolve makes the substitutions of the policy in an absolute path. The root
// itself is never substituted.
func (l *Labeler) resolve(path string) string {
	if len(l.aliases) == 0 || path == "/" {
		return path
	}
	dir := ""
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		dir = strings.TrimSuffix(dir, "/") + "/" + name
		if original, ok := l.aliases[dir]; ok {
			dir = original
		}
	}
	return dir
}

// typeCode returns the letter that file_contexts has for the type of a file.
func typeCode(mode uint32) string {
	switch mode & tree.TypeMask {
	case tree.TypeDir:
		return "d"
	case tree.TypeSymlink:
		return "l"
	case tree.TypeChar:
		return "c"
	case tree.TypeBlock:
		return "b"
	case tree.TypeFIFO:
		return "p"
	case tree.TypeSocket:
		return "s"
	}
	return "-"
}

// latin1 returns s with one character for each byte, so that a regular
// expression sees bytes: file names need not be UTF-8, and "." is one byte.
func latin1(s string) string {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < 0x80
	}
	if ascii {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
