package repo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo/objects"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// objectBuffer is how much of an object an ObjectWriter keeps in memory. An
// object that fits is hashed first, and never written if it is there already:
// enabling fs-verity waits for the disk, which takes longer than to hash.
const objectBuffer = 128 << 10

// An ObjectWriter writes one object. It ends with Commit or Abort.
type ObjectWriter struct {
	repo *Repository
	buf  []byte         // what is neither in file nor hashed
	file *tempFile      // nil as long as everything is in buf
	near string         // the directory that file is made in
	hash *verity.Hasher // in insecure mode, of what is in file
	hole bool           // file ends before where it is written next
	size int64
	err  error
}

// NewObject returns a writer for the content of an object whose digest is not
// known yet.
func (r *Repository) NewObject() (*ObjectWriter, error) {
	if err := r.writable(); err != nil {
		return nil, err
	}
	w := &ObjectWriter{repo: r, near: "."}
	if b, ok := r.buffers.Get().(*[]byte); ok {
		w.buf = (*b)[:0]
	}
	return w, nil
}

// Write adds content. After an error there is only Abort.
func (w *ObjectWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if len(w.buf)+len(p) > objectBuffer {
		if w.err = w.spill(p); w.err != nil {
			w.err = fmt.Errorf("cannot write object: %w", w.err)
			return 0, w.err
		}
	} else {
		w.buf = append(w.buf, p...)
	}
	w.size += int64(len(p))
	return len(p), nil
}

// spill writes what is in the buffer, and p, to the file.
func (w *ObjectWriter) spill(p []byte) error {
	size := len(w.buf)
	if len(p) >= objectBuffer { // else it goes into the buffer
		size += len(p)
	}
	done, err := w.repo.reserve.take(int64(size), w.file == nil)
	if err != nil {
		return err
	}
	defer done()
	if w.file == nil {
		f, err := w.repo.temps.createFor(w.near)
		if err != nil {
			return err
		}
		w.file = f
		if w.repo.insecure {
			w.hash = verity.New(w.repo.algorithm)
		}
	}
	if err := w.put(w.buf); err != nil {
		return err
	}
	w.buf = w.buf[:0]
	if len(p) < objectBuffer {
		w.buf = append(w.buf, p...)
		return nil
	}
	return w.put(p)
}

func (w *ObjectWriter) put(p []byte) error {
	if w.hash != nil {
		w.hash.Write(p)
	}
	// A sparse file in an image takes no more room here.
	if w.hole = isZero(p); w.hole {
		_, err := w.file.Seek(int64(len(p)), io.SeekCurrent)
		return err
	}
	_, err := w.file.Write(p)
	return err
}

// isZero reports whether p would do as a hole.
func isZero(p []byte) bool {
	const block = 4096
	for ; len(p) >= block; p = p[block:] {
		if [block]byte(p) != [block]byte{} {
			return false
		}
	}
	return !slices.ContainsFunc(p, func(b byte) bool { return b != 0 })
}

// Commit gives the object its name and returns it. The object may be used at
// once; it survives a crash after Sync.
func (w *ObjectWriter) Commit() (digest.Digest, error) {
	defer w.release()
	if w.err != nil {
		return digest.Digest{}, w.err
	}
	d, err := w.commit()
	w.err = errors.New("object is complete")
	if err != nil {
		return digest.Digest{}, fmt.Errorf("cannot write object: %w", err)
	}
	return d, nil
}

func (w *ObjectWriter) commit() (digest.Digest, error) {
	r := w.repo
	var want digest.Digest // unless the kernel alone knows
	if w.file == nil {
		want = verity.Sum(r.algorithm, w.buf)
		if r.trusted(want, w.size) {
			return want, nil
		}
		w.near = objectsDir + "/" + path.Dir(want.ObjectPath())
	}
	if err := w.spill(nil); err != nil {
		return digest.Digest{}, err
	}
	got, err := w.seal()
	if err != nil {
		return digest.Digest{}, err
	}
	if !want.IsZero() && got != want {
		return digest.Digest{}, fmt.Errorf("kernel and program disagree on fs-verity digest: %s, %s", got, want)
	}
	return got, r.link(w.file, got, w.size)
}

// seal makes the file one that cannot be written to, where the repository has
// that, and returns its digest.
func (w *ObjectWriter) seal() (d digest.Digest, err error) {
	if w.hole {
		if err := w.file.Truncate(w.size); err != nil {
			return d, err
		}
	}
	if w.hash != nil {
		return w.hash.Sum(), nil
	}
	if err := w.file.protect(w.repo.algorithm); err != nil {
		return d, err
	}
	return verity.Measure(w.file.File)
}

// Abort drops the object. After Commit it does nothing.
func (w *ObjectWriter) Abort() {
	w.release()
	if w.err == nil {
		w.err = errors.New("object was dropped")
	}
}

func (w *ObjectWriter) release() {
	if w.file != nil {
		w.file.drop()
		w.file = nil
	}
	if cap(w.buf) > 0 {
		b := w.buf
		w.repo.buffers.Put(&b)
		w.buf = nil
	}
}

// link gives the file its name among the objects. What has the name already is
// replaced if it is not what the name promises: a crash may have left it.
func (r *Repository) link(t *tempFile, d digest.Digest, size int64) error {
	name := d.ObjectPath()
	err := t.moveTo(r.objects, name)
	if errors.Is(err, fs.ErrNotExist) {
		dir := objectsDir + "/" + path.Dir(name)
		if err := r.root.Mkdir(dir, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		err = t.moveTo(r.objects, name)
	}
	if !errors.Is(err, fs.ErrExist) || r.trusted(d, size) {
		return ignoreExist(err)
	}
	// The old content must stay until the new one is on the disk.
	if err := r.syncObject(t.File); err != nil {
		return err
	}
	return t.replace(r.objects, name)
}

// syncObject makes the content of an object survive a crash. After an fsync of a
// file that fs-verity protects, btrfs may know that, but not by what.
func (r *Repository) syncObject(f *os.File) error {
	if r.insecure {
		return f.Sync()
	}
	return sys.Syncfs(f)
}

// distrusted is the mode bit that marks an object's file as damaged; it has no other meaning
// for a regular file. Later programs see it, and a file that replaces this one lacks it.
const distrusted = fs.ModeSticky

// Distrust durably marks objects as damaged, whatever their sizes or fs-verity digests
// say: writing the same content then replaces the file by a rename. A program that has the
// old file open keeps it. Objects that are missing or not regular files need no mark.
func (r *Repository) Distrust(objects ...digest.Digest) error {
	if len(objects) == 0 {
		return nil
	}
	if err := r.writable(); err != nil {
		return err
	}
	for _, d := range objects {
		if err := r.mark(d); err != nil {
			return fmt.Errorf("cannot mark object %s as damaged: %w", d, err)
		}
	}
	return r.Sync()
}

func (r *Repository) mark(d digest.Digest) error {
	f, err := r.openFile(d)
	if errors.Is(err, ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return f.Chmod(info.Mode().Perm() | distrusted)
}

func ignoreExist(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// trusted reports whether the object is there and what its name promises, as far as
// that can be told without reading it: by its fs-verity digest or, in insecure mode,
// by its size unless that is negative, and if nobody has distrusted it. A file
// system never gives a file its size before its data.
func (r *Repository) trusted(d digest.Digest, size int64) bool {
	f, err := r.openFile(d)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Mode()&distrusted != 0 {
		return false
	}
	if !r.insecure {
		return r.verify(f, d) == nil
	}
	return size < 0 || info.Size() == size
}

// openFile opens the file of an object, which may be damaged.
func (r *Repository) openFile(d digest.Digest) (*os.File, error) {
	if d.Algorithm() != r.algorithm {
		return nil, fmt.Errorf("object %q: %w", d, fs.ErrNotExist)
	}
	return objects.Open(r.objects, d)
}

// verify checks that fs-verity protects an object with its digest; in insecure mode it
// checks nothing.
func (r *Repository) verify(f *os.File, d digest.Digest) error {
	if r.insecure {
		return nil
	}
	return objects.Verify(f, d)
}

// PutObject writes an object and returns its name.
func (r *Repository) PutObject(data []byte) (digest.Digest, error) {
	w, err := r.NewObject()
	if err != nil {
		return digest.Digest{}, err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return digest.Digest{}, err
	}
	return w.Commit()
}

// HasObject reports whether the object is there, in insecure mode without looking
// at its content.
func (r *Repository) HasObject(d digest.Digest) bool { return r.trusted(d, -1) }

// OpenObject opens an object to read. The error is fs.ErrNotExist if it is not
// there, ErrDamaged if fs-verity does not vouch for it. With fs-verity, reading
// what somebody has changed on the disk gives an error.
func (r *Repository) OpenObject(d digest.Digest) (*os.File, error) {
	f, err := r.openFile(d)
	if err != nil {
		return nil, fmt.Errorf("cannot open object: %w", err)
	}
	if err := r.verify(f, d); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot open object: %w", err)
	}
	return f, nil
}

// ObjectSize returns the size of an object in bytes, 0 if it is not there.
func (r *Repository) ObjectSize(d digest.Digest) (int64, error) {
	info, err := r.root.Lstat(objectsDir + "/" + d.ObjectPath())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// DropObject removes an object that nothing needs. What is not there is no error.
func (r *Repository) DropObject(d digest.Digest) error {
	if err := r.writable(); err != nil {
		return err
	}
	return durable.Remove(r.changes, objectsDir+"/"+d.ObjectPath())
}

// ObjectsDir returns the directory with the objects, for mounts. It is closed
// with the repository.
func (r *Repository) ObjectsDir() *os.File { return r.objects }

// eachObject calls f for the name of every object, until f returns an error;
// fs.SkipAll ends it without one. Files with other names are none of ours.
func eachObject(objects *os.File, f func(digest.Digest) error) error {
	dirs, err := readNames(objects, ".")
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if len(dir) != 2 {
			continue
		}
		names, err := readNames(objects, dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			d, err := digest.Parse(dir + name)
			if err != nil {
				continue
			}
			if err := f(d); err == fs.SkipAll {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// readNames returns the names in a directory below dir, sorted.
func readNames(dir *os.File, name string) ([]string, error) {
	f, err := sys.Openat(dir, name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}
