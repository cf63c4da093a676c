// Package replay enumerates what can be on a disk after its power failed, from
// the log of what was written to it.
//
// A flush makes durable what was complete before it. Of the writes after the
// last flush any may have reached the medium or not, in any order, and of a
// write any of its sectors: a drive promises to write a sector whole, no more.
// Two writes to one sector keep their order, since the drive's cache is one. So
// what remains of reordering is a set: which sectors of which writes arrived.
package replay

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// SectorSize is what a drive writes whole or not at all.
const SectorSize = 512

// A Piece is some sectors of an entry of the log.
type Piece struct {
	Entry    int
	From, To int // sectors within the entry, To not included
}

// A Cut is a moment at which the power fails, and what had arrived by then.
type Cut struct {
	// Durable counts the entries that are on the medium for certain.
	Durable int
	// At counts the entries whose requests were complete when the power failed.
	At int
	// Pieces of entries from Durable to At had arrived as well, in this order.
	Pieces []Piece `json:",omitempty"`
	// States name the content of each area of the disk: equal ones are the same.
	States []State
}

// String names the cut for people: enough, with the log, to make it again.
func (c Cut) String() string {
	return fmt.Sprintf("power fails at entry %d, of the %d after the last flush arrived %v", c.At, c.At-c.Durable, c.Pieces)
}

// A State names the content of an area of a disk, relative to the content that it
// had at first.
type State [8]byte

// An Area is a part of the disk that is looked at on its own: a partition.
type Area struct{ Offset, Size int64 }

// A Disk is the content of a disk in memory, with the states of its areas kept
// up to date as pieces are written.
type Disk struct {
	content []byte
	areas   []Area
	states  []State
}

// NewDisk returns a disk with a content, which it keeps and changes.
func NewDisk(content []byte, areas []Area) *Disk {
	return &Disk{content, areas, make([]State, len(areas))}
}

// An undo is what a write replaced.
type undo struct {
	offset int64
	old    []byte
}

// write puts sectors of an entry on the disk and returns what was there, if keep
// says so.
func (d *Disk) write(e writelog.Entry, p Piece, keep bool) undo {
	offset := e.Offset + int64(p.From)*SectorSize
	size := int64(p.To-p.From) * SectorSize
	old := d.content[offset : offset+size]
	var u undo
	if keep {
		u = undo{offset, append([]byte(nil), old...)}
	}
	d.replace(offset, content(e, p))
	return u
}

// content returns what a piece of an entry puts on the disk.
func content(e writelog.Entry, p Piece) []byte {
	size := int64(p.To-p.From) * SectorSize
	if e.Flags&writelog.Discard != 0 {
		return make([]byte, size)
	}
	return e.Data[int64(p.From)*SectorSize:][:size]
}

// replace changes the content at offset.
func (d *Disk) replace(offset int64, data []byte) {
	for i := int64(0); i < int64(len(data)); i += SectorSize {
		at := offset + i
		old, now := d.content[at:at+SectorSize], data[i:i+SectorSize]
		if area := d.area(at); area >= 0 && string(old) != string(now) {
			state := &d.states[area]
			toggle(state, at, old)
			toggle(state, at, now)
		}
		copy(old, now)
	}
}

func (d *Disk) area(offset int64) int {
	for i, a := range d.areas {
		if offset >= a.Offset && offset < a.Offset+a.Size {
			return i
		}
	}
	return -1
}

// toggle adds to a state that a sector has a content, or takes it away again.
func toggle(s *State, offset int64, sector []byte) {
	h := sha256.New()
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], uint64(offset))
	h.Write(at[:])
	h.Write(sector)
	for i, b := range h.Sum(nil)[:len(s)] {
		s[i] ^= b
	}
}

// sectors returns how many sectors an entry writes.
func sectors(e writelog.Entry) int { return int(e.Length / SectorSize) }

// whole returns all sectors of the entry with the index i.
func whole(entries []writelog.Entry, i int) Piece { return Piece{i, 0, sectors(entries[i])} }

// Check refuses a log whose writes are not on the disk.
func Check(entries []writelog.Entry, size int64) error {
	for i, e := range entries {
		if e.IsWrite() && (e.Offset < 0 || e.Length%SectorSize != 0 || e.Offset%SectorSize != 0 || e.Offset+e.Length > size) {
			return fmt.Errorf("entry %d of the log writes %d bytes at %d, on a disk of %d", i, e.Length, e.Offset, size)
		}
	}
	return nil
}
