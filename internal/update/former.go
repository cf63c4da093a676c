package update

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A Former is the system whose place a machine's first deployment takes, and what that takes
// over of it.
type Former struct {
	Root *os.Root
	Keep carry.Keep
}

// peopleFile is the file by which systemd-tmpfiles(8) makes the homes of those who were taken
// over.
const peopleFile = "tmpfiles.d/sysupdate-image-people.conf"

// takeOver gives a deployment that does not run what it takes over of the former system, nil
// for none.
func (m *Machine) takeOver(ctx context.Context, to carry.Side, image *tree.Node, former *Former) error {
	if former == nil || len(former.Keep) == 0 {
		return nil
	}
	dir, err := former.Root.Open("etc")
	if err != nil {
		return fmt.Errorf("cannot take over files of the former system: %w", err)
	}
	defer dir.Close()
	other, err := carry.ReadOther(ctx, dir, to.ID)
	if err != nil {
		return err
	}
	err = m.carrier("").TakeOver(ctx, to, carry.TakeOver{From: other, Keep: former.Keep, Files: func(people []merge.Person) []carry.File {
		return m.homes(image, people, former.Root)
	}})
	if err != nil {
		return fmt.Errorf("cannot take over files of the former system: %w", err)
	}
	return nil
}

// homes returns the file that makes the homes of people, with the SSH keys that they have in a
// former system.
func (m *Machine) homes(image *tree.Node, people []merge.Person, former *os.Root) []carry.File {
	var b strings.Builder
	for _, p := range people {
		home, ok := homeIn(image, p.Home)
		if !ok {
			m.warn(fmt.Errorf("user %s has no home: %s cannot be written in the image", p.Name, p.Home))
			continue
		}
		fmt.Fprintf(&b, "d %s 700 %s %s -\n", home, p.Name, p.Group)
		if former == nil {
			continue // SSH keys stay where they are
		}
		keys, err := keysIn(former, p.Home)
		if found, err := bounded.Found(err); err != nil {
			m.warn(fmt.Errorf("the SSH keys of user %s are not taken over: %w", p.Name, err))
			continue
		} else if !found {
			continue
		}
		fmt.Fprintf(&b, "d %s/.ssh 700 %s %s -\n", home, p.Name, p.Group)
		fmt.Fprintf(&b, "f~ %s/.ssh/authorized_keys 600 %s %s - %s\n", home, p.Name, p.Group, base64.StdEncoding.EncodeToString(keys))
	}
	if b.Len() == 0 {
		return nil
	}
	return []carry.File{{Path: peopleFile, Perm: 0o644, Data: []byte(b.String())}}
}

// errKeysLink says that SSH keys are not in a file of their own: a user could have a link lead to
// what only root may read.
var errKeysLink = errors.New("authorized_keys is a symbolic link, or no regular file")

// keysIn returns the SSH keys in a home of a former system.
func keysIn(former *os.Root, home string) ([]byte, error) {
	name := strings.TrimPrefix(path.Join("/", home, ".ssh/authorized_keys"), "/")
	f, err := former.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil {
		return nil, err
	}
	named, err := former.Lstat(name)
	if err == nil && (!opened.Mode().IsRegular() || !os.SameFile(opened, named)) {
		err = errKeysLink
	}
	if err != nil {
		return nil, err
	}
	return bounded.ReadAll(f, limits.Text)
}

// homeIn returns where a home is that can be written with an image: below /var, or where a link
// leads there. What systemd-tmpfiles would not read as one word is none.
func homeIn(image *tree.Node, home string) (string, bool) {
	home = path.Join("/", home)
	if strings.ContainsFunc(home, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`%"'\`, r) }) {
		return "", false
	}
	first, rest, _ := strings.Cut(home[1:], "/")
	if link := image.Entry(first); link != nil && link.IsSymlink() {
		home = path.Join("/", link.Target, rest)
	}
	return home, strings.HasPrefix(home, "/var/")
}
