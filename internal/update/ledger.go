package update

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// A ledger is the machine's record of its kernels: see boot.Ledger.
type ledger struct{ *Machine }

func (l ledger) Kernels() ([]string, error) {
	data, err := bounded.ReadRoot(l.root, deployment.KernelsRecord, limits.Record)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the record of kernels: %w", err)
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' }), nil
}

func (l ledger) SetKernels(paths []string) error {
	if _, err := l.changes.Lstat(deployment.StateDir); err != nil {
		if err := durable.MkdirAll(l.changes, deployment.StateDir, 0o755); err != nil {
			return err
		}
	}
	text := ""
	for _, path := range paths {
		text += path + "\n"
	}
	return durable.WriteFile(l.changes, deployment.KernelsRecord, []byte(text))
}
