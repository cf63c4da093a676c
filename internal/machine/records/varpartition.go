package records

import (
	"io/fs"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// LoadVarPartition returns the partition that /var is on.
func LoadVarPartition(root fs.FS) (deployment.VarPartition, error) {
	return load(root, deployment.VarPartitionRecord, limits.Record, deployment.ParseVarPartition)
}

// StoreVarPartition records the partition of a state that no boot looks at yet. A file is in the
// place of /var: programs that do not know the record fail, and do not boot with an empty /var.
func StoreVarPartition(changes durable.FS, v deployment.VarPartition) error {
	if err := durable.MkdirAll(changes, path.Dir(deployment.SharedVar), 0o755); err != nil {
		return err
	}
	const note = "/var is on a partition of its own, which ../var-partition.json names.\n"
	if err := durable.WriteFile(changes, deployment.SharedVar, []byte(note)); err != nil {
		return err
	}
	return durable.WriteFile(changes, deployment.VarPartitionRecord, v.Encode())
}
