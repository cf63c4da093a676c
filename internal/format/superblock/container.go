package superblock

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
)

// LUKS is the type of an encrypted device.
const LUKS = "LUKS encryption"

// Names of what is not a file system, as messages have them.
const (
	lvm     = "an LVM physical volume"
	raid    = "a member of a Linux RAID"
	bcache  = "bcache"
	zfsPool = "a member of a ZFS pool"
	bitLock = "BitLocker encryption"
)

// signatures are magic numbers of containers near the beginning of a device.
var signatures = []struct {
	name, magic string
	at          int64
}{
	{LUKS, "LUKS\xba\xbe", 0},
	{bitLock, "-FVE-FS-", 3},
	{lvm, "LABELONE", 0}, {lvm, "LABELONE", 512}, {lvm, "LABELONE", 1024}, {lvm, "LABELONE", 1536},
	{raid, raidMagic, 0}, {raid, raidMagic, 4096}, // metadata 1.1 and 1.2
	{bcache, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", 4096 + 24},
}

// raidMagic is 0xa92b4efc in little endian; see md(4).
const raidMagic = "\xfc\x4e\x2b\xa9"

// container recognises what must be opened or assembled before it can be mounted.
func container(device io.ReaderAt, head []byte, size int64) (Content, error) {
	for _, s := range signatures {
		if at(head, s.at, len(s.magic)) == s.magic {
			c := Content{Type: s.name, Container: true}
			if s.name == LUKS {
				c.UUID, _, _ = strings.Cut(at(head, 168, 40), "\x00")
				c.UUID = strings.ToLower(c.UUID)
			}
			return c, nil
		}
	}
	// Metadata 1.0 and 0.90 are at the end: a mirror's members look like its content.
	for _, from := range []int64{(size/512 - 16) &^ 7 * 512, size&^0xffff - 0x10000} {
		if from < 0 {
			continue
		}
		magic, err := readUpTo(device, from, len(raidMagic))
		if err != nil {
			return Content{}, err
		}
		if bytes.Equal(magic, []byte(raidMagic)) {
			return Content{Type: raid, Container: true}, nil
		}
	}
	return Content{}, nil
}

// The uberblocks of a ZFS pool's first label, and their magic number.
const (
	zfsFrom  = 128 << 10
	zfsSize  = 128 << 10
	zfsStep  = 1 << 10
	zfsMagic = 0x00bab10c
)

// pool recognises a member of a ZFS pool.
func pool(device io.ReaderAt) (Content, error) {
	data, err := readUpTo(device, zfsFrom, zfsSize)
	if err != nil {
		return Content{}, err
	}
	for ; len(data) >= 8; data = data[min(zfsStep, len(data)):] {
		if binary.LittleEndian.Uint64(data) == zfsMagic || binary.BigEndian.Uint64(data) == zfsMagic {
			return Content{Type: zfsPool, Container: true}, nil
		}
	}
	return Content{}, nil
}
