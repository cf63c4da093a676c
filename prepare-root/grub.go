package prepareroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/grubenv"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// grubenvs are where GRUB keeps its variables, where /boot is on the physical root.
var grubenvs = []string{"boot/grub2/grubenv", "boot/grub/grubenv"}

// setGRUB has GRUB boot an entry once, at the next boot: its configuration reads the variable
// next_entry, and its command blscfg gives entries ids without the suffix. The error is
// fs.ErrNotExist if there is no GRUB on the physical root.
func (s settings) setGRUB(entry string) error {
	return writably(s.sysroot, func(root *os.Root) error {
		for _, name := range grubenvs {
			block, err := bounded.ReadRoot(root, name, limits.Record)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				block, err = grubenv.Set(block, "next_entry", strings.TrimSuffix(entry, bootentry.Suffix))
			}
			if err == nil {
				err = overwrite(root, name, block)
			}
			if err != nil {
				return fmt.Errorf("cannot tell GRUB which entry to boot: %w", err)
			}
			return nil
		}
		return fs.ErrNotExist
	})
}

// overwrite writes a file in place, as GRUB itself does.
func overwrite(root *os.Root, name string, data []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	return errors.Join(err, f.Sync(), f.Close())
}
