package main

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/replay"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// An area is a partition of the disk that is checked: what it durably has, and a
// block device with that and some more, which may be mounted.
type area struct {
	replay.Area
	durable []byte
	file    *os.File // on a tmpfs, of the loop device
	content []byte   // of file, mapped
	device  string
}

const page = 4096

// newArea makes the area of a disk with a content at first.
func newArea(a replay.Area, disk *os.File, name string) (*area, error) {
	// Outside of Go's heap, and with holes where the disk has nothing.
	durable, err := unix.Mmap(-1, 0, int(a.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	part := make([]byte, 64*page)
	for at := int64(0); at < a.Size; at += int64(len(part)) {
		if _, err := disk.ReadAt(part, a.Offset+at); err != nil {
			return nil, err
		}
		for i := 0; i < len(part); i += page {
			if p := part[i : i+page]; !isZero(p) {
				copy(durable[at+int64(i):], p)
			}
		}
	}
	file, err := os.Create("/tmp/" + name)
	if err != nil {
		return nil, err
	}
	if err := file.Truncate(a.Size); err != nil {
		return nil, err
	}
	content, err := unix.Mmap(int(file.Fd()), 0, int(a.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	w := &area{Area: a, durable: durable, file: file, content: content}
	for i := int64(0); i < a.Size; i += page {
		if p := durable[i : i+page]; !isZero(p) {
			copy(content[i:], p)
		}
	}
	w.device, err = attachLoop(file)
	return w, err
}

var zeroPage [page]byte

func isZero(p []byte) bool { return bytes.Equal(p, zeroPage[:]) }

// attachLoop makes a block device of a file.
func attachLoop(file *os.File) (string, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", fmt.Errorf("LOOP_CTL_GET_FREE: %w", err)
	}
	name := fmt.Sprintf("/dev/loop%d", n)
	loop, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer loop.Close()
	if err := unix.IoctlLoopConfigure(int(loop.Fd()), &unix.LoopConfig{Fd: uint32(file.Fd()), Size: 512}); err != nil {
		return "", fmt.Errorf("LOOP_CONFIGURE: %w", err)
	}
	return name, nil
}

// commit makes an entry of the log durable. Only what is within the area is
// written.
func (a *area) commit(e writelog.Entry) {
	a.put(a.durable, e, 0, e.Length)
	a.put(a.content, e, 0, e.Length)
}

// arrive puts a piece on the device for the time being.
func (a *area) arrive(e writelog.Entry, p replay.Piece) {
	a.put(a.content, e, int64(p.From)*replay.SectorSize, int64(p.To)*replay.SectorSize)
}

// put copies the part of an entry from from to to into content.
func (a *area) put(content []byte, e writelog.Entry, from, to int64) {
	start := max(e.Offset+from, a.Offset)
	end := min(e.Offset+to, a.Offset+a.Size)
	if start >= end {
		return
	}
	dst := content[start-a.Offset : end-a.Offset]
	if e.Flags&writelog.Discard != 0 {
		clear(dst)
		return
	}
	copy(dst, e.Data[start-e.Offset:])
}

// restore makes the device what is durable again, whoever has written to it. It
// compares all that the file has; where it has nothing, there was no write.
func (a *area) restore() error {
	for at := int64(0); at < a.Size; {
		start, end, err := sys.NextData(a.file, at, a.Size)
		if err != nil {
			return fmt.Errorf("cannot find the data of %s: %w", a.file.Name(), err)
		}
		for ; start < end; start += page {
			if p := a.durable[start : start+page]; !bytes.Equal(a.content[start:start+page], p) {
				copy(a.content[start:], p)
			}
		}
		at = end
	}
	return nil
}
