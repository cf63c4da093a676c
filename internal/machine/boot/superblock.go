package boot

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// superblocks say where file systems have their UUIDs.
var superblocks = []struct {
	name  string
	magic string
	at    int64 // of the magic number, from the beginning of the device
	uuid  int64
}{
	{"btrfs", "_BHRfS_M", 0x10040, 0x10020},
	{"ext4", "\x53\xef", 0x438, 0x468},
	{"xfs", "XFSB", 0, 0x20},
	{"f2fs", "\x10\x20\xf5\xf2", 0x400, 0x46c},
}

// superblockUUID returns the UUID of the file system on a device.
func superblockUUID(device io.ReaderAt) (string, error) {
	for _, s := range superblocks {
		magic := make([]byte, len(s.magic))
		if _, err := device.ReadAt(magic, s.at); err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		uuid := make([]byte, 16)
		if string(magic) != s.magic {
			continue
		}
		if _, err := device.ReadAt(uuid, s.uuid); err != nil {
			return "", fmt.Errorf("cannot read the superblock of %s: %w", s.name, err)
		}
		if !bytes.Equal(uuid, make([]byte, 16)) {
			x := hex.EncodeToString(uuid)
			return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:], nil
		}
	}
	return "", errors.New("no file system with a UUID that is known here (ext4, XFS, btrfs, F2FS)")
}
