package grub

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A Former is the GRUB of a package-based system on the root file system, which boots a
// machine that has deployments beside it. What it reads last gets a menu entry that leads to
// ours: its own configuration, which its packages write, stays as it is.
type Former struct {
	Dir string // of grub.cfg, relative to the root
	own bool   // grub.cfg is ours: see Replace
}

// formerDirs are where distributions have it.
var formerDirs = []string{"boot/grub", "boot/grub2"}

// customName is what grub.cfg reads last; see 41_custom in /etc/grub.d.
const customName = "custom.cfg"

// ErrNoCustom says that nothing can be added to a GRUB's menu.
var ErrNoCustom = errors.New("its grub.cfg does not read custom.cfg: there is no executable /etc/grub.d/41_custom, or grub.cfg was not made by grub-mkconfig")

// FindFormer returns the GRUB of a system, nil if it has none.
func FindFormer(root *os.Root) (*Former, error) {
	for _, dir := range formerDirs {
		text, err := bounded.ReadRoot(root, dir+"/grub.cfg", limits.Text)
		if found, err := bounded.Found(err); err != nil {
			return nil, err
		} else if !found {
			continue
		}
		own := bytes.HasPrefix(text, []byte(mark))
		if !own && !bytes.Contains(text, []byte(customName)) {
			return nil, fmt.Errorf("cannot use the GRUB in /%s: %w", dir, ErrNoCustom)
		}
		return &Former{dir, own}, nil
	}
	return nil, nil
}

// Custom returns the path of the file that Enter and SetFirst change.
func (f Former) Custom() string { return f.Dir + "/" + customName }

// Replaced reports whether the system is gone: Replace has put our grub.cfg in the place of its own.
func (f Former) Replaced() bool { return f.own }

// What is between these lines is ours; the rest of the file is not touched.
const (
	beginMark = mark + ": begin\n"
	endMark   = mark + ": end\n"
)

// menuEntry leads to the menu on the partition with our entries. grub-reboot(8) and
// grub-editenv(1) of the other system can name it; what they ask for once comes first. If a
// password protects that menu, the machine still boots without anybody who knows it.
const menuEntry = `menuentry "Image-based system (sysupdate-image)" --unrestricted --id sysupdate-image {
%s}
`

// leads has GRUB go on with the menu on the FAT file system with a number.
const leads = `  insmod part_gpt
  insmod part_msdos
  insmod fat
  insmod regexp
  search --no-floppy --fs-uuid --set=root %s
  configfile /%s
`

const menuFirst = `if [ "$boot_once" != true ]; then set default=sysupdate-image; fi
`

// Enter adds the menu entry for the FAT file system with a number; see superblock.FATID. With
// first, it is what GRUB boots if nobody chooses. The change is one rename.
func (f Former) Enter(changes durable.FS, root *os.Root, fatID string, first bool) error {
	script, err := leadTo(fatID)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(menuEntry, script)
	if first {
		text += menuFirst
	}
	return f.replace(changes, root, beginMark+text+endMark)
}

func leadTo(fatID string) (string, error) {
	if fatID == "" || strings.Trim(fatID, "0123456789ABCDEF-") != "" {
		return "", fmt.Errorf("invalid number of a FAT file system %q", fatID)
	}
	return fmt.Sprintf(leads, fatID, boot.GRUBConfig), nil
}

// Replace has GRUB boot nothing but our entries: for when the system is removed whose grub.cfg it
// replaces. The change is one rename.
func (f Former) Replace(changes durable.FS, fatID string) error {
	script, err := leadTo(fatID)
	if err != nil || f.own {
		return err
	}
	return durable.WriteFile(changes, f.Dir+"/grub.cfg", []byte(mark+", in the place of that of a system that was removed.\n"+script))
}

// SetFirst says whether GRUB boots our entry if nobody chooses. It is an error if there is none.
func (f Former) SetFirst(changes durable.FS, root *os.Root, first bool) error {
	_, own, _, err := f.read(root)
	if err != nil {
		return err
	}
	if own == "" {
		return fmt.Errorf("there is no menu entry of this program in /%s", f.Custom())
	}
	own = strings.Replace(own, menuFirst, "", 1)
	if first {
		own = strings.TrimSuffix(own, endMark) + menuFirst + endMark
	}
	return f.replace(changes, root, own)
}

// replace writes the file with our part.
func (f Former) replace(changes durable.FS, root *os.Root, own string) error {
	before, _, after, err := f.read(root)
	if err != nil {
		return err
	}
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	return durable.WriteFile(changes, f.Custom(), []byte(before+own+after))
}

// read returns our part of the file, "" if there is none, and what is around it.
func (f Former) read(root *os.Root) (before, own, after string, err error) {
	data, err := bounded.ReadRoot(root, f.Custom(), limits.Text)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", "", err
	}
	before, rest, ok := strings.Cut(string(data), beginMark)
	if !ok {
		return before, "", "", nil
	}
	own, after, ok = strings.Cut(rest, endMark)
	if !ok {
		return "", "", "", fmt.Errorf("/%s is damaged: the line %q is missing", f.Custom(), strings.TrimSpace(endMark))
	}
	return before, beginMark + own + endMark, after, nil
}
