package merge

import (
	"context"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// mustLink reports whether a local file takes too much room to be copied. It then
// gets one more name, so that nothing of it is lost. Both deployments have it then,
// as a change by one is one for the other.
func (w *dirWriter) mustLink(f localFile) (bool, error) {
	stat, err := sys.Statx(f.file, "")
	if err != nil {
		return false, err
	}
	const block = 512
	room := stat.Blocks * block
	if isTooLarge(room) || limits.EtcContents.Check(w.copied+room) != nil {
		return stat.Nlink > 0, nil
	}
	w.copied += room
	return false, nil
}

// copyLocal copies a file with its holes, up to the size that it has now: it may
// grow as fast as it is read.
func copyLocal(ctx context.Context, out, in *os.File) error {
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if sys.Clone(out, in) == nil {
		return nil
	}
	size := info.Size()
	if err := sys.CopyData(ctx, out, 0, in, size); err != nil {
		return err
	}
	return out.Truncate(size)
}
