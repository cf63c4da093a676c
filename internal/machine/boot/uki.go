package boot

import (
	"context"
	"io"
	"path"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// A File is a file and its name in the directory where it will be.
type File struct {
	Name    string
	Content io.ReadSeeker
}

// WriteUKI puts the unified kernel image of a deployment and the addons to it on
// the partition as WriteKernel does a kernel, in a directory where no loader
// looks for something to boot. The digest, by which NewUKIEntry names it, is of
// the image, and then of each addon's name and content.
func (p *Partition) WriteUKI(
	ctx context.Context, id deployment.ID, uki io.ReadSeeker, extras []File, superseded ...deployment.ID,
) (digest string, created bool, err error) {
	return p.writeParts(ctx, ukiParts(id, uki, extras), superseded)
}

// NewUKIEntry returns the boot entry for the unified kernel image that WriteUKI
// wrote. It has no options: they would replace the command line of the image. Its key is
// linux, see Entry.Countable.
func NewUKIEntry(prettyName, version, digest string, id deployment.ID) bootentry.Entry {
	e := newEntry(prettyName, version)
	e.Linux = "/" + path.Join(kernelsDir, digest, bootentry.UKIName(id))
	return e
}

// Boots reports whether the entry boots the kernel with a digest, as WriteKernel or
// WriteUKI wrote it.
func (f EntryFile) Boots(digest string) bool { return f.names(path.Join(kernelsDir, digest)) }
