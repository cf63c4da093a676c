package install

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// sshKeys is the file by which systemd-tmpfiles(8) gives root its keys at each boot: the home
// of root is in /var, which the image fills only at the first boot. bootc has the same name.
const sshKeys = "tmpfiles.d/bootc-root-ssh.conf"

// rootKeys returns what has root's authorized keys be those of a file, as sshd(8) reads them;
// nothing for no name.
func rootKeys(name string) ([]carry.File, error) {
	if name == "" {
		return nil, nil
	}
	keys, err := bounded.ReadPath(name, limits.Text)
	if err != nil {
		return nil, fmt.Errorf("cannot read SSH keys: %w", err)
	}
	if len(bytes.TrimSpace(keys)) == 0 {
		return nil, fmt.Errorf("%s has no SSH keys", name)
	}
	text := fmt.Sprintf("d /root/.ssh 700 root root -\nf~ /root/.ssh/authorized_keys 600 root root - %s\n",
		base64.StdEncoding.EncodeToString(keys))
	return []carry.File{{Path: sshKeys, Perm: 0o644, Data: []byte(text)}}, nil
}
