package carry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A Keep says what of another /etc a new one takes over: what the patterns of path.Match
// select, relative to /etc, directories with all that is in them. One of the account files
// stands for all of them: see merge.Accounts.TakeOver.
type Keep []string

// CheckKeep refuses a pattern that selects nothing in an /etc.
func CheckKeep(etc fs.FS, patterns []string) (Keep, error) {
	var keep Keep
	for _, p := range patterns {
		clean := path.Clean(p)
		if path.IsAbs(p) {
			clean = strings.TrimPrefix(strings.TrimPrefix(clean, "/etc"), "/")
		}
		if clean == "." || clean == "" || clean == "*" {
			return nil, errors.New("cannot keep all of /etc: name the files")
		}
		if !fs.ValidPath(clean) || path.IsAbs(p) && !strings.HasPrefix(path.Clean(p), "/etc/") {
			return nil, fmt.Errorf("cannot keep %s: it is not in /etc", p)
		}
		found, err := fs.Glob(etc, clean)
		if err != nil {
			return nil, fmt.Errorf("cannot keep /etc/%s: %w", clean, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("cannot keep /etc/%s: no such file", clean)
		}
		if err := checkNoLink(etc, found); err != nil {
			return nil, err
		}
		keep = append(keep, clean)
	}
	return keep, nil
}

// checkNoLink refuses files that are reached by a link to a directory: they are elsewhere.
func checkNoLink(etc fs.FS, names []string) error {
	for _, name := range names {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if info, err := fs.Lstat(etc, dir); err == nil && info.Mode().Type() == fs.ModeSymlink {
				return fmt.Errorf("cannot keep /etc/%s: /etc/%s is a symbolic link", name, dir)
			}
		}
	}
	return nil
}

// accounts reports whether the account files are to be taken over.
func (k Keep) accounts() bool { return slices.ContainsFunc(merge.AccountFiles, k.has) }

// has reports whether a pattern selects a path.
func (k Keep) has(name string) bool {
	return slices.ContainsFunc(k, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}

// An Other is an /etc from which files are taken over.
type Other struct {
	Tree *tree.Node
	Open merge.Opener // of its files
}

// ReadOther reads the /etc of a system that is not an image's, for a deployment.
func ReadOther(ctx context.Context, dir *os.File, to deployment.ID) (Other, error) {
	id, err := to.Digest()
	if err != nil {
		return Other{}, err
	}
	trees, open, err := merge.ReadDirs(ctx, id.Algorithm(), dir)
	if err != nil {
		return Other{}, fmt.Errorf("cannot read the /etc to take over: %w", err)
	}
	return Other{trees[0], open}, nil
}

// FS returns the names of the files.
func (o Other) FS() fs.FS { return tree.FS(o.Tree, o.Open) }

// Now returns the /etc of a deployment as it is now, local changes included. The caller calls end
// once nothing is opened any more.
func (c Carrier) Now(ctx context.Context, side Side) (now Other, end func() error, err error) {
	now.Tree, now.Open, end, err = c.current(ctx, side)
	return now, end, err
}

// A TakeOver is what a deployment that does not run takes over of another /etc.
type TakeOver struct {
	Fresh bool // its own /etc is not looked at: it begins as its image has it
	From  Other
	Keep  Keep
	Files func([]merge.Person) []File // to add, with the people who were taken over
}

// TakeOver adds to the local changes of a deployment. What has the same names is replaced. Like
// Carry it may be repeated.
func (c Carrier) TakeOver(ctx context.Context, to Side, t TakeOver) error {
	if !to.HasLocal() {
		return ErrNoLocal
	}
	pristine, err := c.Pristine(to.ID, erofs.All)
	if err != nil {
		return err
	}
	local, own, end := pristine, merge.Opener(c.OpenContent), func() error { return nil }
	if t.Fresh {
		local, err = c.Pristine(to.ID, erofs.All) // which is changed
	} else {
		local, own, end, err = c.current(ctx, to)
	}
	if err != nil {
		return err
	}
	defer end()
	open := either(t.From.Open, own)
	people, err := c.enter(local, open, t)
	if err != nil {
		return err
	}
	for _, f := range t.Files(people) {
		if err := f.addTo(local); err != nil {
			return fmt.Errorf("cannot write /etc/%s: %w", f.Path, err)
		}
	}
	return c.Write(ctx, to, local, pristine, open)
}

// either returns an Opener that tries two; the first may be nil.
func either(first, second merge.Opener) merge.Opener {
	if first == nil {
		return second
	}
	return func(n *tree.Node) (io.ReadCloser, error) {
		f, err := first(n)
		if err == nil {
			return f, nil
		}
		if g, errSecond := second(n); errSecond == nil {
			return g, nil
		}
		return nil, err
	}
}

// enter adds to an /etc what is kept of the other one.
func (c Carrier) enter(local *tree.Node, open merge.Opener, t TakeOver) ([]merge.Person, error) {
	if len(t.Keep) == 0 {
		return nil, nil
	}
	own, err := readAccounts(local, open)
	if err != nil {
		return nil, err
	}
	others, err := readAccounts(t.From.Tree, open)
	if err != nil {
		return nil, err
	}
	if !t.Keep.accounts() {
		return nil, c.graftAll(local, t, merge.OwnersOf(others, own))
	}
	all, people, warnings, err := own.TakeOver(others)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		c.Warn(w)
	}
	for name, data := range all {
		if n := accountsNode(local, t.From.Tree, name, data); n != nil {
			local.Set(name, n)
		}
	}
	return people, c.graftAll(local, t, merge.OwnersOf(others, all))
}

// graftAll enters what is kept, for the owners of the same names.
func (c Carrier) graftAll(local *tree.Node, t TakeOver, owners merge.Owners) error {
	g := grafter{t.Keep, owners, nil}
	if err := g.graft(local, t.From.Tree, ""); err != nil {
		return err
	}
	for _, name := range g.lost {
		c.Warn("/etc/" + name + " belongs to root now: its owner or group is another one here")
	}
	return nil
}

// A grafter enters files of another /etc.
type grafter struct {
	keep   Keep
	owners merge.Owners
	lost   []string // whose owners there are not
}

// readAccounts reads the account files of an /etc.
func readAccounts(etc *tree.Node, open merge.Opener) (merge.Accounts, error) {
	all := merge.Accounts{}
	for _, name := range merge.AccountFiles {
		n := etc.Entry(name)
		if n == nil || !n.IsRegular() {
			continue
		}
		data, err := contentOf(n, open)
		if err != nil {
			return nil, fmt.Errorf("/etc/%s: %w", name, err)
		}
		all[name] = data
	}
	return all, nil
}

func contentOf(n *tree.Node, open merge.Opener) ([]byte, error) {
	if n.Digest.IsZero() || n.Inline != nil {
		return n.Inline, nil
	}
	f, err := open(n)
	if err != nil {
		return nil, err
	}
	data, err := bounded.ReadAll(f, limits.Accounts)
	return data, errors.Join(err, f.Close())
}

// accountsNode returns an account file with new content: with the metadata of the one that is
// there, or else of the other's. It is nil for a file that stays.
func accountsNode(local, other *tree.Node, name string, data []byte) *tree.Node {
	like := local.Entry(name)
	if like == nil || !like.IsRegular() {
		like = other.Entry(name)
	}
	if len(data) == 0 || like == nil || !like.IsRegular() {
		return nil
	}
	n := newNode(local, like.Mode)
	n.UID, n.GID, n.Inline, n.Size = like.UID, like.GID, data, uint64(len(data))
	return n
}

// graft enters what is kept below a directory, with the directories that lead there, but no
// account files.
func (g *grafter) graft(into, from *tree.Node, at string) error {
	for _, e := range from.Entries() {
		name := path.Join(at, e.Name)
		if slices.Contains(merge.AccountFiles, name) {
			continue
		}
		if g.keep.has(name) {
			if n := g.copyOf(e.Node, into, name); n != nil {
				into.Set(e.Name, n)
			}
			continue
		}
		if !e.Node.IsDir() || !g.keep.below(name) {
			continue
		}
		dir := into.Entry(e.Name)
		if dir == nil {
			dir = newNode(into, e.Node.Mode)
			dir.UID, dir.GID = e.Node.UID, e.Node.GID
			g.giveTo(dir, name)
			into.Set(e.Name, dir)
		}
		if !dir.IsDir() {
			return fmt.Errorf("cannot keep files in /etc/%s: it is not a directory in the image", name)
		}
		if err := g.graft(dir, e.Node, name); err != nil {
			return err
		}
	}
	return nil
}

// below reports whether a pattern may select something in a directory.
func (k Keep) below(dir string) bool {
	depth := strings.Count(dir, "/") + 1
	return slices.ContainsFunc(k, func(p string) bool {
		parts := strings.Split(p, "/")
		if len(parts) <= depth {
			return false
		}
		ok, err := path.Match(strings.Join(parts[:depth], "/"), dir)
		return err == nil && ok
	})
}

// copyOf returns a copy of a file, a symbolic link or a directory with all in it, nil for
// anything else. Its SELinux label is that of the directory that it goes to.
func (g *grafter) copyOf(n, dir *tree.Node, name string) *tree.Node {
	if !n.IsRegular() && !n.IsSymlink() && !n.IsDir() {
		return nil
	}
	c := n.Clone()
	g.giveTo(c, name)
	c.SetLabel(dir.Label())
	c.Nlink = 1
	if !n.IsDir() {
		return c
	}
	c.Clear()
	for _, e := range n.Entries() {
		if below := g.copyOf(e.Node, c, path.Join(name, e.Name)); below != nil {
			c.Set(e.Name, below)
		}
	}
	return c
}

// giveTo gives a file to those who have the names of its owners here.
func (g *grafter) giveTo(n *tree.Node, name string) {
	uid, hasUser := g.owners.User(n.UID)
	gid, hasGroup := g.owners.Group(n.GID)
	n.UID, n.GID = uid, gid
	if hasUser && hasGroup {
		return
	}
	g.lost = append(g.lost, name)
	if !n.IsDir() {
		n.Mode &^= syscall.S_ISUID | syscall.S_ISGID // it would run as root
	}
}
