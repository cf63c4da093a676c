package update

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// addLocal adds root's SSH keys, and what is taken over of a former system, on a machine that
// boots the image next already, such as when it is installed again.
func (m *Machine) addLocal(ctx context.Context, r Result, o Options) error {
	if r.Outcome != AlreadyNext || o.RootKeys == nil && o.Former == nil {
		return nil
	}
	mode, err := carry.OnDisk(m.Root, r.ID)
	if err != nil {
		return err
	}
	s, err := m.systemOf(ctx, r.ID)
	if err != nil {
		return err
	}
	files, err := keysFor(s, o.RootKeys)
	if err != nil {
		return err
	}
	side := carry.Side{ID: r.ID, Etc: mode}
	if err := m.takeOver(ctx, side, s.Tree, o.Former); err != nil {
		return err
	}
	if err := m.addEtc(ctx, side, files); err != nil {
		return err
	}
	return durable.Syncfs(m.Changes)
}

// ErrNoRootHome says that nothing can be written to the home of root.
var ErrNoRootHome = errors.New("root's home in the image is read-only: /root is not a link to a directory in /var")

// sshKeys is the file by which systemd-tmpfiles(8) gives root its keys at each boot: the home
// of root is in /var, which the image fills only at the first boot. bootc has the same name.
const sshKeys = "tmpfiles.d/bootc-root-ssh.conf"

// keysFor returns the local file that has root's authorized keys be these, none for nil. It names
// the directory in /var that /root leads to: that one may come from another line for
// systemd-tmpfiles, which is only sure to be first if its path begins the same.
func keysFor(s *system.System, keys []byte) ([]carry.File, error) {
	if keys == nil {
		return nil, nil
	}
	home := "/root"
	if link := s.Tree.Entry("root"); link != nil && link.IsSymlink() && strings.HasPrefix(path.Join("/", link.Target), "/var/") {
		home = path.Join("/", link.Target)
	} else if !s.Mounts.RootTransient {
		return nil, ErrNoRootHome
	}
	text := fmt.Sprintf("d %s/.ssh 700 root root -\nf~ %s/.ssh/authorized_keys 600 root root - %s\n",
		home, home, base64.StdEncoding.EncodeToString(keys))
	return []carry.File{{Path: sshKeys, Perm: 0o644, Data: []byte(text)}}, nil
}
