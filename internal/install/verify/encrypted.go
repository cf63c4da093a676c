package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/luksheader"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
)

// isEncrypted reports whether the root is.
func (p *parts) isEncrypted() bool { return p.contents[p.root].Type == superblock.LUKS }

// encrypted says what opens an encrypted root, and that nobody looked into it. Options are the
// kernel arguments of the first boot entry.
func (r *Report) encrypted(ctx context.Context, d *device.Disk, p *parts, options string) {
	text, err := openedBy(ctx, d, p)
	if err == nil {
		err = p.namedEncrypted(options)
	}
	r.add("encryption", text, err)
	r.Findings = append(r.Findings, Finding{What: "root file system", Text: "it is encrypted, and was not looked into", Unknown: true})
}

// openedBy says what opens the root.
func openedBy(ctx context.Context, d *device.Disk, p *parts) (string, error) {
	entry, _ := p.table.Partition(p.root)
	part, err := d.Part(ctx, p.root, entry, false)
	if err != nil {
		return "", err
	}
	f, err := os.Open(part.Path)
	if err != nil {
		return "", errors.Join(err, part.Close())
	}
	tokens, err := luksheader.Tokens(f)
	if err = errors.Join(err, f.Close(), part.Close()); err != nil {
		return "", err
	}
	return openers(tokens), nil
}

// openers says in words what tokens are for.
func openers(tokens []string) string {
	tpm, recovery := slices.Contains(tokens, luksheader.TPM2), slices.Contains(tokens, luksheader.Recovery)
	switch {
	case tpm && recovery:
		return "LUKS, opened by the TPM of its machine, or by the recovery key"
	case tpm:
		return "LUKS, opened by the TPM of its machine; there is no recovery key"
	case recovery:
		return "LUKS, opened by the recovery key only, which somebody has to type at each boot"
	}
	return "LUKS, opened neither by a TPM nor by a recovery key"
}

// namedEncrypted reports whether the initramfs opens the encrypted root: it is named, or it has its
// type and there is no root=.
func (p *parts) namedEncrypted(options string) error {
	cmdline := kcmdline.Parse(options)
	uuid := p.contents[p.root].UUID
	for _, key := range []string{"rd.luks.uuid", "luks.uuid", "rd.luks.name", "luks.name"} {
		for _, value := range cmdline.All(key) {
			value, _, _ = strings.Cut(strings.TrimPrefix(value, "luks-"), "=")
			if strings.EqualFold(value, uuid) {
				return nil
			}
		}
	}
	if _, named := cmdline.Last("root"); !named && len(p.roots) == 1 {
		return nil
	}
	return fmt.Errorf("no rd.luks.uuid= of the boot entry is the UUID of the encrypted root, %s", uuid)
}
