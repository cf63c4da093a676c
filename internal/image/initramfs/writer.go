package initramfs

import (
	"fmt"
	"io"
	"time"
)

// Types of files in an archive, as in the mode that stat(2) returns.
const (
	typeDir     = 0o040000
	typeDevice  = 0o020000 // a character device
	typeRegular = 0o100000
	typeSymlink = 0o120000
)

// maxSize is the most that the header of an entry can have.
const maxSize = 1<<32 - 1

// A Writer writes a cpio archive of the new format, which the kernel unpacks. All files
// belong to root and have the same time. Directories come before what is in them.
//
// After an error the other calls do nothing, and Close returns it.
type Writer struct {
	w        io.Writer
	modified int64
	entries  int // inode numbers, which tell nothing but hard links, of which there are none
	err      error
}

// NewWriter returns a writer of an archive whose files were modified at a time, the zero
// Time being that of 1970.
func NewWriter(w io.Writer, modified time.Time) *Writer {
	if modified.IsZero() {
		modified = time.Unix(0, 0)
	}
	return &Writer{w: w, modified: modified.Unix()}
}

// Dir adds a directory. Names are relative to the root.
func (w *Writer) Dir(name string, perm uint32) {
	w.entry(record{name: name, mode: typeDir | perm, links: 2})
}

// File adds a regular file.
func (w *Writer) File(name string, perm uint32, content []byte) {
	w.entry(record{name: name, mode: typeRegular | perm, links: 1, content: content})
}

// Symlink adds a symbolic link to target.
func (w *Writer) Symlink(name, target string) {
	w.entry(record{name: name, mode: typeSymlink | 0o777, links: 1, content: []byte(target)})
}

// Device adds a character device.
func (w *Writer) Device(name string, perm, major, minor uint32) {
	w.entry(record{name: name, mode: typeDevice | perm, links: 1, major: major, minor: minor})
}

// Close ends the archive. It does not close the writer below.
func (w *Writer) Close() error {
	w.modified, w.entries = 0, -1 // as cpio(1) ends archives
	w.entry(record{name: trailer, links: 1})
	return w.err
}

type record struct {
	name         string
	mode, links  uint32
	major, minor uint32
	content      []byte
}

func (w *Writer) entry(r record) {
	if w.err != nil {
		return
	}
	if len(r.name) >= maxName || int64(len(r.content)) > maxSize || w.modified < 0 || w.modified > maxSize {
		w.err = fmt.Errorf("cannot write archive: the format has no room for %q (%d bytes, time %d)", r.name, len(r.content), w.modified)
		return
	}
	w.entries++
	// inode, mode, uid, gid, links, mtime, size, two numbers of the device that has the
	// file, two of the one that it is, size of the name, checksum
	head := []byte("070701")
	for _, n := range []int64{
		int64(w.entries), int64(r.mode), 0, 0, int64(r.links), w.modified, int64(len(r.content)),
		0, 0, int64(r.major), int64(r.minor), int64(len(r.name)) + 1, 0,
	} {
		head = fmt.Appendf(head, "%08X", n)
	}
	w.write(append(append(head, r.name...), 0))
	w.write(r.content)
}

// write writes data and zeros up to the next multiple of four.
func (w *Writer) write(data []byte) {
	for _, part := range [][]byte{data, make([]byte, padded(int64(len(data)))-int64(len(data)))} {
		if w.err == nil && len(part) > 0 {
			_, w.err = w.w.Write(part)
		}
	}
}
