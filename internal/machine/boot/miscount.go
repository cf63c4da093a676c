package boot

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
)

// A loader that counts renames the entry before it boots it, and announces the new name in an
// EFI variable. One that did only one of the two, or neither, boots the entry for ever.

// NotCounted says that the loader has not counted a boot.
const NotCounted = "not counted by the loader"

// Miscount tells, of the entry on trial that the running machine was booted from, that its
// loader has not counted this boot, and how that shows; "" if the loader has, or the entry
// has no tries. running is the root of the running system.
func Miscount(running fs.FS, f EntryFile) string {
	now, err := bootentry.ParseName(f.File)
	if err != nil || !now.Counted || f.byGRUB {
		return ""
	}
	if why := miscount(running, now); why != "" {
		return NotCounted + ": " + why
	}
	return ""
}

func miscount(running fs.FS, now bootentry.Name) string {
	announced, err := bootcount.Booted(running)
	switch {
	case bootcount.ByKexec(running): // it may have announced an entry when it was last there, or none
		return "another kernel started this one (kexec)"
	case errors.Is(err, fs.ErrNotExist):
		return "it announced no entry"
	case err != nil:
		return err.Error()
	case announced.Name.ID() != now.ID():
		return "it announced " + announced.Name.String()
	case announced.Doubt() != "":
		return announced.Doubt()
	case announced.Name.TriesLeft != now.TriesLeft || announced.Name.TriesDone != now.TriesDone:
		return fmt.Sprintf("it announced %s, and the entry is %s", announced.Name, now)
	}
	return ""
}
