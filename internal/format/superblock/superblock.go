// Package superblock recognises what a block device holds by its signature: a file system
// that can be a root, with what identifies it, or something that has to be opened or
// assembled first. It hides where each has its magic number.
package superblock

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// A Content is what a device holds. The zero value is that of one that holds nothing
// known.
type Content struct {
	Type  string // of the file system as for mount(8), or what it is else
	UUID  string // as text in lower case, "" if there is none
	Label string
	// Container reports whether this is no file system, but something with one inside
	// that the kernel does not mount.
	Container bool
	// Members is the number of devices that a btrfs consists of, and Member which of them
	// this is.
	Members, Member uint64
}

// Btrfs is the Type of a file system that may have several devices.
const Btrfs = "btrfs"

// A format is a file system and where it has what.
type format struct {
	name  string
	magic string
	at    int64 // of the magic number, from the beginning of the device
	uuid  int64
	label span
}

// A span is where a text is.
type span struct {
	at    int64
	size  int
	utf16 bool
}

var fileSystems = []format{
	{Btrfs, "_BHRfS_M", 0x10040, 0x10020, span{0x1012b, 256, false}},
	{"ext4", "\x53\xef", 0x438, 0x468, span{0x478, 16, false}},
	{"xfs", "XFSB", 0, 0x20, span{0x6c, 12, false}},
	{"f2fs", "\x10\x20\xf5\xf2", 0x400, 0x46c, span{0x47c, 1024, true}},
}

// Where the superblock of btrfs has the number of devices and that of its own.
const (
	btrfsMembers = 0x10088
	btrfsMember  = 0x100c9
)

// headSize is how much of a device has all superblocks and most signatures.
const headSize = 0x11000

// Read recognises the content of a device with a size in bytes. What looks like a file
// system but is one half of a mirror, say, is what it is part of.
func Read(device io.ReaderAt, size int64) (Content, error) {
	head, err := readUpTo(device, 0, headSize)
	if err != nil {
		return Content{}, err
	}
	c, err := container(device, head, size)
	if err != nil || c.Container {
		return c, err
	}
	for _, f := range fileSystems {
		if at(head, f.at, len(f.magic)) == f.magic {
			return f.content(head), nil
		}
	}
	return pool(device)
}

func (f format) content(head []byte) Content {
	c := Content{Type: f.name, UUID: uuidText(at(head, f.uuid, 16)), Label: f.label.text(head)}
	if f.name == Btrfs {
		c.Members, c.Member = u64(head, btrfsMembers), u64(head, btrfsMember)
	}
	return c
}

func (s span) text(head []byte) string {
	text := at(head, s.at, s.size)
	if !s.utf16 {
		text, _, _ = strings.Cut(text, "\x00")
		return text
	}
	var units []uint16
	for ; len(text) >= 2; text = text[2:] {
		u := uint16(text[0]) | uint16(text[1])<<8
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// uuidText returns a UUID as text, "" for the nil UUID and for none.
func uuidText(b string) string {
	if len(b) != 16 || b == strings.Repeat("\x00", 16) {
		return ""
	}
	x := hex.EncodeToString([]byte(b))
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// at returns n bytes, or none if they are not all there.
func at(data []byte, from int64, n int) string {
	if from < 0 || int64(len(data)) < from+int64(n) {
		return ""
	}
	return string(data[from : from+int64(n)])
}

func u64(data []byte, from int64) uint64 {
	if b := at(data, from, 8); b != "" {
		return binary.LittleEndian.Uint64([]byte(b))
	}
	return 0
}

// readUpTo reads n bytes, or those that there are.
func readUpTo(device io.ReaderAt, from int64, n int) ([]byte, error) {
	data := make([]byte, n)
	got, err := device.ReadAt(data, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read the beginning of the device: %w", err)
	}
	return bytes.Clone(data[:got]), nil
}
