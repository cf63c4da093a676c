package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// Symbolic links make objects reachable. A link appears atomically once everything that it
// leads to is on the disk, and from then on survives a crash.

// objectLink is where the link to an object from images or streams points.
func objectLink(d digest.Digest) string {
	return "../" + objectsDir + "/" + d.ObjectPath()
}

// parseLink returns the object to which a link in images or streams points.
func parseLink(target string) (digest.Digest, error) {
	name, ok := strings.CutPrefix(target, "../"+objectsDir+"/")
	d, err := digest.Parse(strings.Replace(name, "/", "", 1))
	if !ok || err != nil || objectLink(d) != target {
		return digest.Digest{}, fmt.Errorf("link to %q, which is not an object", target)
	}
	return d, nil
}

// makeLink makes name, a path in the repository, a link to target. It replaces
// a link of that name. The link has another name first, outside the directory
// where composefs-rs would take it for an entry.
func (r *Repository) makeLink(target, name string) error {
	if old, err := r.root.Readlink(name); err == nil && old == target {
		// An earlier try, which a crash stopped, may not have synced it.
		return r.changes.Sync(path.Dir(name))
	}
	temp := tempName()
	if err := r.changes.Symlink(target, temp); err != nil {
		return err
	}
	if err := durable.Rename(r.changes, temp, name); err != nil {
		return errors.Join(err, ignoreNotExist(r.changes.Remove(temp)))
	}
	return nil
}

// publish makes a link to an object, which then survives a crash with all that
// has been written before.
func (r *Repository) publish(d digest.Digest, name string) error {
	if err := r.Sync(); err != nil {
		return err
	}
	return r.makeLink(objectLink(d), name)
}

// linked returns the object to which the link in dir points.
func (r *Repository) linked(dir, name string) (digest.Digest, error) {
	target, err := r.root.Readlink(dir + "/" + name)
	if err != nil {
		return digest.Digest{}, err
	}
	return parseLink(target)
}

// links returns the links in dir to objects, by name. Anything else there is
// not counted. A link that cannot be read is an error: what it leads to would be
// collected as garbage.
func (r *Repository) links(dir string) (map[string]digest.Digest, error) {
	names, err := readNames(r.dir, dir)
	if err != nil {
		return nil, err
	}
	links := make(map[string]digest.Digest)
	for _, name := range names {
		target, err := r.root.Readlink(dir + "/" + name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EINVAL) { // no link
			continue
		}
		if err != nil {
			return nil, err
		}
		if d, err := parseLink(target); err == nil {
			links[name] = d
		}
	}
	return links, nil
}

// checkName refuses what cannot be the name of a link.
func checkName(name string) error {
	if name == "" || name == refsName || len(name) > 255 || name[0] == '.' || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q cannot be a name in a repository", name)
	}
	return nil
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
