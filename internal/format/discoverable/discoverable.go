// Package discoverable has the types and attributes of partitions that are found without
// being named, as the Discoverable Partitions Specification lists them.
package discoverable

// Attributes of a partition.
const (
	NoAuto   = 1 << 63 // not to be mounted without being asked for
	ReadOnly = 1 << 60
	// GrowFileSystem has the file system grow to the size of the partition when it is mounted.
	GrowFileSystem = 1 << 59
)

// rootTypes are the types of root file systems, by architectures as Go spells them.
var rootTypes = map[string]string{
	"386":     "44479540-f297-41b2-9af7-d131d5f0458a",
	"amd64":   "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
	"arm":     "69dad710-2ce4-4e3c-b16c-21a1d49abed3",
	"arm64":   "b921b045-1df0-41c3-af44-4c6f280d3fae",
	"loong64": "77055800-792c-4f94-b39a-98c91b762bb6",
	"ppc64le": "c31c45e6-3f39-412e-80fb-4809c4980599",
	"riscv64": "72ec70a6-cf74-40e6-bd49-4bda08e8f224",
	"s390x":   "5eead9a9-fe09-4a1e-a1d7-520d00531306",
}

// RootType returns the type of partitions with a root file system for an architecture
// that is spelled as in Go, in lower case; "" if none is known.
func RootType(arch string) string { return rootTypes[arch] }
