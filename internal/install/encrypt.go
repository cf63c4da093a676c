package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/image/cryptroot"
	"github.com/sysupdate-image/sysupdate-image/internal/image/installconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
	"github.com/sysupdate-image/sysupdate-image/internal/install/luks"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// The block set-ups: file systems are on the partitions themselves, or the root is in LUKS2, which
// the TPM opens.
const (
	Direct   = "direct"
	TPM2LUKS = "tpm2-luks"
)

// BlockSetups are all of them, the default first.
var BlockSetups = []string{Direct, TPM2LUKS}

// Encryption says how the root is encrypted.
type Encryption struct {
	PCRs    string // registers of the TPM that it opens the root with; see luks.CheckPCRs
	KeyFile string // where the recovery key goes; "" if it is shown
	Shown   bool   // the caller shows the recovery key to a person
	Asked   bool   // PCRs or KeyFile are no defaults
}

var (
	// ErrOtherTPM says that the TPM that is to open a root is not here.
	ErrOtherTPM = errors.New("a disk image has no TPM: only the machine that the disk is in can encrypt it")
	// ErrNotEncrypted says that options about encryption would have no effect.
	ErrNotEncrypted = errors.New("registers of a TPM and a recovery key are only for the block set-up tpm2-luks")
	// ErrVarOpen says that /var would not be encrypted.
	ErrVarOpen = errors.New("a partition for /var would not be encrypted; /var on the root is")
	// ErrNotLooked says that nobody has looked into the image's initramfs.
	ErrNotLooked = errors.New("nobody has looked whether the image's initramfs opens it")
	// ErrKeyNowhere says that nobody would see the recovery key.
	ErrKeyNowhere = errors.New("the recovery key has nowhere to go: standard error is no terminal")
)

// blocks returns the block set-up that is wanted of an image.
func (img Image) blocks(o Options) string {
	wanted := append(slices.Clone(img.config.Block), Direct)
	return cmp.Or(o.BlockSetup, wanted[0])
}

// settleBlocks decides on the block set-up.
func (o *DiskOptions) settleBlocks(c installconfig.Config) error {
	o.BlockSetup = Image{config: c}.blocks(o.Options)
	if allowed := c.Block; len(allowed) > 0 && !slices.Contains(allowed, o.BlockSetup) {
		return fmt.Errorf("block set-up %s is not allowed by the image, only %s", o.BlockSetup, strings.Join(allowed, ", "))
	}
	if !slices.Contains(BlockSetups, o.BlockSetup) {
		return fmt.Errorf("block set-up %s is not supported, only %s", o.BlockSetup, strings.Join(BlockSetups, ", "))
	}
	return nil
}

// checkEncryption refuses a root that could not be encrypted, or not be opened at boot.
func (o *DiskOptions) checkEncryption(img Image) error {
	unknown := (*cryptroot.UnknownError)(nil)
	switch {
	case o.BlockSetup != TPM2LUKS && o.Encryption.Asked:
		return ErrNotEncrypted
	case o.BlockSetup != TPM2LUKS:
		return nil
	case o.Loopback:
		return ErrOtherTPM
	case o.VarSize > 0:
		return ErrVarOpen
	case o.IgnoreConfig:
		return ErrNotLooked
	case errors.As(img.opens, &unknown):
		return nil // there is a warning
	}
	return img.opens
}

// openArgs returns the kernel arguments by which systemd opens an encrypted root: with the TPM, or
// else with what somebody types.
func openArgs(root layout.Partition) []string {
	if root.LUKS == "" {
		return nil
	}
	return []string{"rd.luks.uuid=" + root.LUKS, "rd.luks.options=" + root.LUKS + "=tpm2-device=auto"}
}

// volume returns what an encrypted partition is made of.
func (p DiskPlan) volume(part layout.Partition, path string, keep []*os.File) luks.Volume {
	return luks.Volume{Device: path, Keep: keep, UUID: part.LUKS, PCRs: p.options.Encryption.PCRs}
}

// fillOpen makes the encryption of the root if there is to be one, and fills open partitions.
func (p DiskPlan) fillOpen(ctx context.Context, parts []device.Part, r update.Reporter, warn func(error)) (result DiskResult, err error) {
	root, n, _ := p.Layout.Of(layout.Root)
	if root.LUKS == "" {
		return p.fill(ctx, parts, r, warn)
	}
	r.Step("Encrypting the root")
	part := parts[n-1]
	if err := wipe(part.Path, part.Files()...).Run(ctx); err != nil {
		return DiskResult{}, err
	}
	opened, err := p.volume(root, part.Path, part.Files()).Make(ctx)
	if err != nil {
		return DiskResult{}, fmt.Errorf("cannot encrypt the root: %w", err)
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	if err := p.keyFile.put(opened.RecoveryKey); err != nil {
		return DiskResult{}, err
	}
	inside := slices.Clone(parts)
	inside[n-1] = device.Part{Path: opened.Path}
	result, err = p.fill(ctx, inside, r, warn)
	if p.keyFile == nil {
		result.RecoveryKey = opened.RecoveryKey
	}
	return result, err
}

// A keyFile is the new file that a recovery key goes to. A nil one is none.
type keyFile struct{ *os.File }

// newKeyFile makes the file for the recovery key, so that nothing is in its way later. It is nil
// if the key is shown.
func (e Encryption) newKeyFile() (*keyFile, error) {
	if e.KeyFile == "" {
		if !e.Shown {
			return nil, ErrKeyNowhere
		}
		return nil, nil
	}
	f, err := os.OpenFile(e.KeyFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write the recovery key: %w", err)
	}
	return &keyFile{f}, nil
}

// put writes the key, durably.
func (k *keyFile) put(key string) error {
	if k == nil {
		return nil
	}
	_, err := k.WriteString(key + "\n")
	if err == nil {
		err = k.Sync()
	}
	if err == nil {
		err = syncFile(filepath.Dir(k.Name()), os.O_RDONLY)
	}
	if err != nil {
		return fmt.Errorf("cannot write the recovery key: %w", err)
	}
	return nil
}

// close closes the file, and removes it unless the key in it counts.
func (k *keyFile) close(keep bool) {
	if k == nil {
		return
	}
	if !keep && isAt(k.File, k.Name()) {
		os.Remove(k.Name())
	}
	k.Close()
}
