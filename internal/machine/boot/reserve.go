package boot

import (
	"errors"
	"path"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
)

// reserveFile holds the room that publishing an entry takes, for when somebody else has
// filled the partition: on FAT an entry gets its new name as a copy, and going back to
// another deployment must not fail for that.
const reserveFile = kernelsDir + "/.reserve"

// reserveSize is more than an entry has, whatever the size of a cluster.
const reserveSize = 8 << 10

// keepReserve makes the reserve if it is missing and there is room. What was to be done
// has been done before: no error counts.
func (p *Partition) keepReserve() {
	if found, err := p.exists(reserveFile); found || err != nil || p.openScratch() != nil {
		return
	}
	temp := p.inScratch(path.Base(reserveFile))
	if err := p.writeTemp(temp, make([]byte, reserveSize)); err != nil {
		durable.Remove(p.fs, temp)
		return
	}
	durable.Rename(p.fs, temp, reserveFile)
}

// useReserve gives up the reserve if err is that the partition is full, and reports
// whether there is room then.
func (p *Partition) useReserve(err error) bool {
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	if !full {
		return false
	}
	found, err := p.exists(reserveFile)
	return err == nil && found && durable.Remove(p.fs, reserveFile) == nil
}
