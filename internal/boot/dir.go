package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// mountPoints are where the boot partition of a machine that does not run may be
// mounted, below its root.
var mountPoints = []string{"boot", "efi", "boot/efi"}

// FindIn opens the boot partition of a machine that does not run and whose root is
// mounted: the first of boot, efi and boot/efi below it that has a boot entry of a
// deployment, or else boot, as a machine without deployments has it. The error is
// fs.ErrNotExist if there is no such directory.
func FindIn(root *os.Root) (*Partition, error) {
	for _, dir := range mountPoints {
		p, err := openBelow(root, dir)
		if errors.Is(err, fs.ErrNotExist) || err != nil && dir != mountPoints[0] {
			continue // the others are often links, to where the running machine has it
		}
		if err != nil {
			return nil, err
		}
		if p.hasDeployment() {
			return p, nil
		}
		if err := p.Close(); err != nil {
			return nil, err
		}
	}
	return openBelow(root, mountPoints[0])
}

func openBelow(root *os.Root, dir string) (*Partition, error) {
	// A link that leads out of the machine is an error.
	if _, err := root.Stat(dir); err != nil {
		return nil, fmt.Errorf("cannot open boot partition: %w", err)
	}
	return OpenDir(filepath.Join(root.Name(), dir))
}

// hasDeployment says whether a boot entry of a deployment can be read.
func (p *Partition) hasDeployment() bool {
	files, err := p.Entries()
	return err == nil && slices.ContainsFunc(files, EntryFile.IsDeployment)
}

// WasWritten says whether a kernel of a deployment was ever to be written to the
// partition. That comes before all else of a deployment, and survives what comes after.
func (p *Partition) WasWritten() bool { return p.exists(scratchDir) }
