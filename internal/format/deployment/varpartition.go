package deployment

import (
	"errors"
	"fmt"
	"strings"
)

// A VarPartition is a partition that /var of all deployments is on. A state has a record of
// it, and not the kernel command line: that may be signed, and a reset changes both at once.
type VarPartition struct {
	PartUUID   string // in lower case
	FileSystem string
	Dir        string // directory at its top that stands in for VarParent
}

// VarPartitionRecord holds the VarPartition of a machine that has one. It is beside what it
// replaces: each of the two states that a reset makes has its own.
const VarPartitionRecord = "state/os/var-partition.json"

// ParseVarPartition reads a VarPartitionRecord. Unknown fields are skipped.
func ParseVarPartition(data []byte) (VarPartition, error) {
	r, err := parseRecord(data)
	if err != nil {
		return VarPartition{}, err
	}
	v := VarPartition{
		PartUUID:   jsonMember[string](r, "partuuid"),
		FileSystem: jsonMember[string](r, "file_system"),
		Dir:        jsonMember[string](r, "directory"),
	}
	switch {
	case r.err != nil:
		return VarPartition{}, r.err
	case !IsPartUUID(v.PartUUID):
		return VarPartition{}, fmt.Errorf("partuuid %q is not a UUID in lower case", v.PartUUID)
	case v.FileSystem == "" || strings.Trim(v.FileSystem, "0123456789abcdefghijklmnopqrstuvwxyz") != "":
		return VarPartition{}, fmt.Errorf("file_system %q is not the name of a file system", v.FileSystem)
	case v.Dir == "" || strings.HasPrefix(v.Dir, ".") || strings.Contains(v.Dir, "/"):
		return VarPartition{}, errors.New("directory is not the name of one")
	}
	return v, nil
}

// Encode returns the record as JSON.
func (v VarPartition) Encode() []byte {
	return fmt.Appendf(nil, "{\n  \"partuuid\": %s,\n  \"file_system\": %s,\n  \"directory\": %s\n}\n",
		quoteJSON(v.PartUUID), quoteJSON(v.FileSystem), quoteJSON(v.Dir))
}

// String returns the partition as messages name it.
func (v VarPartition) String() string { return "PARTUUID=" + v.PartUUID }

// Fresh returns the same partition with another directory. There are never more than two states.
func (v VarPartition) Fresh() VarPartition {
	const first, second = "default", "reset"
	if v.Dir == first {
		v.Dir = second
	} else {
		v.Dir = first
	}
	return v
}
