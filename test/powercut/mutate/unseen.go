package mutate

import "strings"

// unseen are the mutants that no recording can tell, with the reason.
var unseen = map[string]string{
	"internal/composefs/repo.Repair":     "a recording repairs nothing",
	"internal/composefs/repo.Distrust":   "a recording repairs nothing",
	"internal/composefs/repo.protect":    "a recording repairs nothing",
	"internal/composefs/repo.syncObject": "a recording has no damaged object that could be replaced",
	"internal/composefs/repo.makeLink":   "only who tries again after a crash comes here, and no power is cut twice",
	"finalize.copyUp":                    "systemd's generator asks for it, which is not part of a recording",
	"internal/linux/durable.Sync":        "the test's own trace calls it",

	// What POSIX asks for, and these file systems do not need.
	"internal/linux/durable.MkdirAll":   "ext4, btrfs and FAT write a new directory with what is synced in it",
	"internal/linux/durable.Remove":     "what comes back is found by who removes it, and removed again",
	"internal/linux/durable.RemoveAll":  "as durable.Remove",
	"internal/linux/durable.syncParent": "durable.Remove and durable.RemoveAll call it",
}

// unseenCalls are calls that no recording can tell, for themselves.
var unseenCalls = map[string]string{
	`internal/machine/boot.sync: p.fs.Sync(".")`:                "in a recording all partitions are on one disk, whose cache the next sync of the root empties",
	"internal/composefs/repo.writeMetadata: sys.Syncfs(f.File)": "where there is fs-verity, as in a recording, enabling it writes the file out, and the name comes with the first thing that is published",
	"internal/machine/boot.makeDirs: p.sync()":                  "what is promised in these directories follows another sync of all, in every program that makes them",
	`internal/etc/merge.replace: fsys.Sync(path.Dir(name))`:     "ext4 and btrfs keep the order of exchange and removal, which POSIX does not promise",
}

// Unseen says why no recording can notice a mutant, "" if one has to.
func Unseen(m Mutant) string {
	if why, ok := unseenCalls[m.Name]; ok {
		return why
	}
	for prefix, why := range unseen {
		if strings.HasPrefix(m.Name, prefix+":") {
			return why
		}
	}
	return ""
}
