package install

import (
	"bytes"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// RootKeys returns the content of a file with root's authorized keys, as sshd(8) reads them;
// nothing for no name.
func RootKeys(name string) ([]byte, error) {
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
	return keys, nil
}
