package system

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki"
)

// ukiDir is where an image has a unified kernel image that is sealed: the digest
// of the image is in there, and /boot is no part of it.
const ukiDir = "boot/EFI/Linux"

// A UKI is the unified kernel image of an image. What is in it is known once it
// has been read.
type UKI struct {
	Path   string       // below the image's root
	Node   *tree.Node   // its content
	Extras []tree.Entry // what systemd-stub(7) reads beside it, by name

	Cmdline    string              // with those of the addons
	Targets    []deployment.Target // the images that it was sealed for, in order
	BootDigest string              // of kernel and initramfs
}

// findUKIs returns the unified kernel images in a directory of an image.
func findUKIs(tree *tree.Node, dir string) []Kernel {
	parent := tree.Lookup(dir)
	if parent == nil {
		return nil
	}
	var found []Kernel
	for _, e := range parent.Entries() {
		if !e.Node.IsRegular() || !strings.HasSuffix(e.Name, ".efi") {
			continue
		}
		u := &UKI{Path: path.Join(dir, e.Name), Node: e.Node}
		if extras := parent.Entry(bootentry.ExtrasOf(e.Name)); extras != nil {
			u.addExtras(extras)
		}
		found = append(found, Kernel{UKI: u})
	}
	return found
}

func (u *UKI) addExtras(dir *tree.Node) {
	for _, e := range dir.Entries() {
		if e.Node.IsRegular() && bootentry.IsExtra(e.Name) {
			u.Extras = append(u.Extras, e)
		}
	}
}

// ErrNotSealed reports that a unified kernel image does not name a deployment.
var ErrNotSealed = errors.New("not sealed: its command line has no composefs= with the deployment id")

// readUKI reads what is in the unified kernel image.
func (s *System) readUKI() error {
	u := s.Kernel.UKI
	f, err := s.Open(u.Node)
	if err != nil {
		return err
	}
	defer f.Close()
	image, err := uki.Read(f)
	if err != nil {
		return fmt.Errorf("/%s: %w", u.Path, err)
	}
	if u.BootDigest, err = image.BootDigest(); err != nil {
		return fmt.Errorf("/%s: %w", u.Path, err)
	}
	s.Kernel.Version = image.Uname
	if u.Cmdline, err = s.ukiCmdline(image.Cmdline); err != nil {
		return err
	}
	u.Targets, err = deployment.Candidates(kcmdline.Parse(u.Cmdline))
	if errors.Is(err, deployment.ErrNoDeployment) {
		return fmt.Errorf("/%s is %w", u.Path, ErrNotSealed)
	}
	if err != nil {
		return fmt.Errorf("/%s: %w", u.Path, err)
	}
	return nil
}

// ukiCmdline returns a command line with those of the addons behind it, in the
// order of systemd-stub(7).
func (s *System) ukiCmdline(first string) (string, error) {
	all := []string{first}
	u := s.Kernel.UKI
	for _, e := range u.Extras {
		if !strings.HasSuffix(e.Name, ".efi") {
			continue
		}
		addon, err := s.readAddon(e.Node)
		if err != nil {
			return "", fmt.Errorf("/%s/%s: %w", bootentry.ExtrasOf(u.Path), e.Name, err)
		}
		if addon.Cmdline != "" {
			all = append(all, addon.Cmdline)
		}
	}
	return strings.Join(all, " "), nil
}

func (s *System) readAddon(n *tree.Node) (*uki.Image, error) {
	f, err := s.Open(n)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return uki.ReadAddon(f)
}
