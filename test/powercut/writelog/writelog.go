// Package writelog reads the log of all writes and flushes that QEMU's
// blklogwrites driver keeps of a disk. The format is that of the kernel's
// dm-log-writes target (drivers/md/dm-log-writes.c): a header, then for each
// request a sector that describes it, followed by what was written.
package writelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

const (
	magic       = 0x6a736677736872
	version     = 1
	headerSize  = 28
	entrySize   = 32
	maxEntries  = 1 << 24
	minSector   = 512
	maxSector   = 64 << 10
	maxDiskSize = 1 << 44
)

// Flags say what kind of request an entry is.
type Flags uint64

// The flags of dm-log-writes.
const (
	Flush   Flags = 1 << iota // what was complete before is on the medium
	FUA                       // what it writes is on the medium once it is complete
	Discard                   // its range has no content any more, nor is there data here
	Mark                      // no request, a text that somebody put into the log
)

// An Entry is a request, in the order in which the requests were completed.
type Entry struct {
	Flags  Flags
	Offset int64  // on the disk, in bytes
	Length int64  // of the range, in bytes
	Data   []byte // what was written there; nil for a discard
}

// IsWrite reports whether the entry changes the content of the disk.
func (e Entry) IsWrite() bool { return e.Length > 0 && e.Flags&Mark == 0 }

// ErrTruncated says that the log ends within an entry.
var ErrTruncated = errors.New("log ends early")

// Map is Parse of a file, which is mapped into memory for as long as the process
// runs: it can be larger than the memory.
func Map(name string) ([]Entry, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("cannot map %s: %w", name, err)
	}
	return Parse(data)
}

// Count returns how many entries a file has that QEMU is still writing to, with
// log-super-update-interval=1.
func Count(name string) (int, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	head := make([]byte, minSector)
	if _, err := io.ReadFull(f, head); err != nil {
		return 0, fmt.Errorf("cannot read write log: %w", err)
	}
	_, count, err := parseHeader(head)
	return int(count), err
}

// Parse reads a log. Entries share data's memory.
func Parse(data []byte) ([]Entry, error) {
	p, count, err := parseHeader(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read write log: %w", err)
	}
	var entries []Entry
	for i := range count {
		e, err := p.entry()
		if err != nil {
			return entries, fmt.Errorf("cannot read write log: entry %d of %d: %w", i, count, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

type parser struct {
	rest   []byte
	sector int64
}

func parseHeader(data []byte) (p parser, count uint64, err error) {
	if len(data) < headerSize {
		return p, 0, ErrTruncated
	}
	le := binary.LittleEndian
	if got := le.Uint64(data); got != magic {
		return p, 0, fmt.Errorf("magic number is %#x; want %#x", got, uint64(magic))
	}
	if got := le.Uint64(data[8:]); got != version {
		return p, 0, fmt.Errorf("version is %d; want %d", got, version)
	}
	count = le.Uint64(data[16:])
	sector := int64(le.Uint32(data[24:]))
	if sector < minSector || sector > maxSector || sector&(sector-1) != 0 {
		return p, 0, fmt.Errorf("sector size is %d", sector)
	}
	if count > maxEntries {
		return p, 0, fmt.Errorf("%d entries are too many", count)
	}
	p = parser{data, sector}
	_, err = p.take(sector)
	return p, count, err
}

// take returns the next n bytes.
func (p *parser) take(n int64) ([]byte, error) {
	if n < 0 || n > int64(len(p.rest)) {
		return nil, ErrTruncated
	}
	head := p.rest[:n:n]
	p.rest = p.rest[n:]
	return head, nil
}

func (p *parser) entry() (Entry, error) {
	head, err := p.take(p.sector)
	if err != nil {
		return Entry{}, err
	}
	le := binary.LittleEndian
	sector, count, length := le.Uint64(head), le.Uint64(head[8:]), le.Uint64(head[24:])
	e := Entry{Flags: Flags(le.Uint64(head[16:]))}
	if e.Flags&^(Flush|FUA|Discard|Mark) != 0 {
		return Entry{}, fmt.Errorf("flags %#x are not known", uint64(e.Flags))
	}
	limit := uint64(maxDiskSize / p.sector)
	if sector > limit || count > limit {
		return Entry{}, fmt.Errorf("range of %d sectors from %d is beyond any disk", count, sector)
	}
	switch {
	case e.Flags&Mark != 0:
		// The text takes the rest of the head, or the sectors that follow.
		if length > uint64(p.sector-entrySize) {
			if length > uint64(len(p.rest)) {
				return Entry{}, ErrTruncated
			}
			e.Data, err = p.take((int64(length) + p.sector - 1) / p.sector * p.sector)
		} else {
			e.Data = head[entrySize : entrySize+length]
		}
	case e.Flags&Discard != 0:
		e.Offset, e.Length = int64(sector)*p.sector, int64(count)*p.sector
	default:
		e.Offset, e.Length = int64(sector)*p.sector, int64(count)*p.sector
		e.Data, err = p.take(e.Length)
	}
	return e, err
}
