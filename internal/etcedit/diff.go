package etcedit

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/sysupdate-image/sysupdate-image/internal/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs"
	"github.com/sysupdate-image/sysupdate-image/internal/etcmerge"
	"github.com/sysupdate-image/sysupdate-image/internal/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/treediff"
)

// A Change is a file that is not as the image has it.
type Change struct {
	treediff.Change
	// Diff is the change of a text in the unified format of diff(1).
	Diff string `json:"diff,omitempty"`
}

// Changes returns the local changes below the given paths, all if there are
// none. Times do not count. Where paths are given, everything has to be read: see
// Open.
func (e *Etc) Changes(paths ...string) ([]Change, error) {
	for _, p := range paths {
		if err := e.checkExists(p); err != nil {
			return nil, err
		}
	}
	ignore := map[treediff.Aspect]bool{treediff.Mtime: true, treediff.Links: true}
	found := treediff.Trees(rooted(e.Base), rooted(e.Local), ignore)
	changes := []Change{}
	for _, c := range found.Changes {
		// systemd-update-done.service(8) writes it at each first boot.
		if c.Path == "/etc/.updated" || !within(c.Path, paths) {
			continue
		}
		text, err := e.textDiff(c)
		if err != nil {
			return nil, err
		}
		changes = append(changes, Change{c, text})
	}
	return changes, nil
}

// rooted returns the root of which etc is the directory /etc.
func rooted(etc *composefs.Node) *composefs.Node {
	root := &composefs.Node{Mode: composefs.TypeDir}
	root.Set("etc", etc)
	return root
}

// within says whether p is one of the paths or below one; no paths are all.
func within(p string, paths []string) bool {
	for _, dir := range paths {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return len(paths) == 0
}

// textDiff returns how the content of a file was changed, "" if that is no text.
func (e *Etc) textDiff(c treediff.Change) (string, error) {
	changed := false
	for _, d := range c.What {
		changed = changed || d.Aspect == treediff.Content
	}
	if !changed {
		return "", nil
	}
	old, okOld, err := e.text(c.Old)
	if err != nil {
		return "", fmt.Errorf("cannot read %s as the image has it: %w", c.Path, err)
	}
	new, okNew, err := e.text(c.New)
	if errors.Is(err, etcmerge.ErrGone) {
		return "", nil // since the tree was read
	}
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", c.Path, err)
	}
	if !okOld || !okNew {
		return "", nil
	}
	// The names are such that patch -p1 knows the file.
	return string(diff.Diff("image"+c.Path, old, "local"+c.Path, new)), nil
}

// text returns the content of a file, and whether it is a text.
func (e *Etc) text(n *composefs.Node) (data []byte, ok bool, err error) {
	if n.Size > uint64(limits.DiffText.Value) {
		return nil, false, nil
	}
	data = n.Inline
	if len(data) == 0 && n.Size > 0 {
		r, err := e.open(n)
		if err != nil {
			return nil, false, err
		}
		data, err = bounded.Head(r, limits.DiffText.Value+1)
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, false, err
		}
	}
	return data, int64(len(data)) <= limits.DiffText.Value && utf8.Valid(data) && bytes.IndexByte(data, 0) < 0, nil
}

// Clean returns the paths as they are used here: absolute and below /etc.
func Clean(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		c := path.Clean(p)
		if c != "/etc" && !strings.HasPrefix(c, "/etc/") {
			return nil, fmt.Errorf("%s is not below /etc", p)
		}
		out = append(out, c)
	}
	return out, nil
}
