package edit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A Change is a file that is not as the image has it.
type Change struct {
	diff.Change
	// Diff is the change for patch -p1, if it can be one.
	Diff string `json:"diff,omitempty"`
}

// Changes returns the local changes below the given paths, all if there are
// none. Times do not count. Where paths are given, everything has to be read: see
// Open.
func (e *Etc) Changes(ctx context.Context, paths ...string) ([]Change, error) {
	for _, p := range paths {
		if err := e.checkExists(p); err != nil {
			return nil, err
		}
	}
	found, err := diff.Trees(rooted(e.Base), rooted(e.Local), diff.Options{
		Ignore: merge.Incidental, Contents: merge.Contents(ctx, e.open),
	})
	if err != nil {
		return nil, err
	}
	changes := []Change{}
	isSwapped := swapped(found.Changes)
	for _, c := range found.Changes {
		if err := cancel.Err(ctx); err != nil {
			return nil, err
		}
		// systemd-update-done.service(8) writes it at each first boot.
		if c.Path == "/etc/.updated" || !within(c.Path, paths) {
			continue
		}
		change := Change{Change: c}
		if !isSwapped(c.Path) {
			// A file that was removed since the tree was read has no patch.
			if change.Diff, err = e.patch(c); err != nil && !errors.Is(err, merge.ErrGone) {
				return nil, err
			}
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// rooted returns the root of which etc is the directory /etc.
func rooted(etc *tree.Node) *tree.Node {
	root := &tree.Node{Mode: tree.TypeDir}
	root.Set("etc", etc)
	return root
}

// within reports whether p is one of the paths or below one; no paths are all.
func within(p string, paths []string) bool {
	for _, dir := range paths {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return len(paths) == 0
}

// text returns the content of a file, and whether it is a text, in whatever encoding.
func (e *Etc) text(n *tree.Node) (data []byte, ok bool, err error) {
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
	return data, int64(len(data)) <= limits.DiffText.Value && bytes.IndexByte(data, 0) < 0, nil
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

// Warnings returns a sentence for each directory whose changes are not among Changes,
// since there are too many.
func (e *Etc) Warnings() []string {
	var warnings []string
	for _, dir := range merge.SkippedDirs(e.Local) {
		warnings = append(warnings, path.Join("/etc", dir)+": local changes in this directory are not shown: it has too many files or directories")
	}
	return warnings
}
