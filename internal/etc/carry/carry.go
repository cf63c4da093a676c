// Package carry carries /etc from one deployment to another: it reads the local changes of
// the first, merges them into the defaults of the second, and writes the result where the
// second will find it.
package carry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A Side is one of the two deployments, and how it keeps its /etc.
type Side struct {
	ID  deployment.ID
	Etc deployment.EtcMode
}

// HasLocal reports whether the deployment has local changes that last.
func (s Side) HasLocal() bool { return s.Etc.Persistent() }

// A Carrier has what is needed to carry /etc from one deployment to another.
type Carrier struct {
	Sysroot *os.Root
	// Booted is the deployment that runs, "" if none does. If it keeps local
	// changes, they are there.
	Booted deployment.ID
	// OpenObject opens an object of the repository, whose content is what its
	// name promises.
	OpenObject func(digest.Digest) (*os.File, error)
	// Policy decides which side wins a conflict. Nobody can be asked at that point, so
	// Fail is Keep.
	Policy deployment.ConflictPolicy
	// Warn is told what an administrator should look at.
	Warn func(text string)
}

// ConflictsDir is where the side goes that loses a conflict, relative to /etc,
// in a directory for each deployment.
const ConflictsDir = ".conflicts"

// Carry gives to the /etc that follows from that of from, and leaves a report
// beside it, which it also returns: the conflicts in it are for the caller to
// tell of. An earlier result is replaced atomically, so Carry may be repeated. The report
// survives a crash once the caller has synced the file system, which must happen before a
// boot entry is published.
//
// Where from has no changes that last, to keeps the /etc that it has already,
// or begins with what its image has.
func (c Carrier) Carry(ctx context.Context, from, to Side) (deployment.EtcReport, error) {
	report := deployment.EtcReport{
		From: deployment.EtcSide(from), To: deployment.EtcSide(to),
		Time: time.Now().UTC().Format(time.RFC3339), Policy: c.Policy.OrKeep(),
	}
	if err := c.carry(ctx, from, to, &report); err != nil {
		return report, err
	}
	for _, text := range report.Warnings {
		c.Warn(text)
	}
	if from.ID == "" {
		return report, nil // a machine's first deployment
	}
	if err := writeReport(durable.OS(c.Sysroot), report); err != nil {
		c.Warn(err.Error()) // the deployment is whole without it
	}
	return report, nil
}

// writeReport writes the report into the state directory of the deployment that
// it is about, which survives a crash only once the file system is synced.
func writeReport(fsys durable.FS, report deployment.EtcReport) error {
	if err := makeDir(fsys, report.To.ID.Dir()); err != nil {
		return err
	}
	return records.StoreEtcReport(fsys, report)
}

// carry is Carry without the report's way.
func (c Carrier) carry(ctx context.Context, from, to Side, report *deployment.EtcReport) error {
	if !to.HasLocal() {
		if from.HasLocal() {
			report.Warnings = append(report.Warnings, fmt.Sprintf(
				"local changes to /etc stay behind in deployment %s: the new one has /etc as its image has it (%s)", from.ID.Short(), to.Etc))
		}
		return nil
	}
	dir, err := c.LocalDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return c.begin(ctx, to)
	}
	if err != nil {
		return fmt.Errorf("cannot read local changes to /etc: %w", err)
	}
	defer dir.Close()
	base, local, part, err := c.Local(ctx, from, dir, false)
	if err != nil {
		return err
	}
	if to.Etc == deployment.EtcBind {
		part = erofs.All // all of it will be written
	}
	next, err := c.Pristine(to.ID, part)
	if err != nil {
		return err
	}
	open := merge.LocalOpener(dir, c.OpenContent)
	result, err := mergeTrees(ctx, base, local, next, merge.Options{
		Conflicts: c.Policy,
		Aside:     ConflictsDir + "/" + to.ID.Short(),
		Open:      open,
	})
	if err != nil {
		return err
	}
	result.Warnings = append(result.Warnings, merge.Skipped(local)...)
	Places{inEtc, inEtc}.Describe(report, result, c.Policy.OrKeep())
	return c.Write(ctx, to, result.Tree, next, open)
}

// begin gives to an /etc where there is nothing to carry over.
func (c Carrier) begin(ctx context.Context, to Side) error {
	if to.Etc == deployment.EtcOverlay {
		return nil // it begins empty
	}
	have, err := durable.Names(c.Sysroot, to.ID.EtcDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(have) > 0 {
		return err
	}
	next, err := c.Pristine(to.ID, erofs.All)
	if err != nil {
		return err
	}
	return c.Write(ctx, to, next, next, c.OpenContent)
}

// Preview returns what Carry would report of a deployment with the tree next, the /etc of its
// image, as long as nothing has been decided about conflicts. It changes nothing.
func (c Carrier) Preview(ctx context.Context, from Side, next *tree.Node) (report deployment.EtcReport, err error) {
	dir, err := c.LocalDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return report, nil
	}
	if err != nil {
		return report, fmt.Errorf("cannot read local changes to /etc: %w", err)
	}
	defer dir.Close()
	base, local, _, err := c.Local(ctx, from, dir, false)
	if err != nil {
		return report, err
	}
	result, err := mergeTrees(ctx, base, local, next, merge.Options{Open: merge.LocalOpener(dir, c.OpenContent)})
	if err != nil {
		return report, err
	}
	Places{inEtc, inEtc}.Describe(&report, result, "")
	return report, nil
}

func mergeTrees(ctx context.Context, base, local, next *tree.Node, o merge.Options) (*merge.Result, error) {
	result, err := merge.Rebase(ctx, base, local, next, o)
	if err != nil {
		return nil, fmt.Errorf("cannot merge /etc: %w", err)
	}
	return result, nil
}

// LocalDir opens the directory that holds the local changes, as seen below the
// physical root, where nothing is mounted over any of it. The error is
// fs.ErrNotExist if there are none: the deployment keeps none, or has never been
// booted.
func (c Carrier) LocalDir(from Side) (*os.File, error) {
	if !from.HasLocal() {
		return nil, fs.ErrNotExist
	}
	name := from.ID.EtcUpper()
	if from.Etc == deployment.EtcBind {
		name = from.ID.EtcDir()
	}
	dir, err := c.Sysroot.Open(name)
	if from.ID == c.Booted && errors.Is(err, fs.ErrNotExist) {
		// Not the error itself: to go on would leave behind what was changed.
		err = fmt.Errorf("the running system has its /etc there (%s): %v", from.Etc, err)
	}
	return dir, err
}

// Local returns the /etc of a deployment as its image has it and as it is, with
// what is in dir. part is what was read of the image: where nothing was changed,
// names are enough, unless whole is asked for.
func (c Carrier) Local(ctx context.Context, from Side, dir *os.File, whole bool) (base, local *tree.Node, part erofs.Part, err error) {
	id, err := from.ID.Digest()
	if err != nil {
		return nil, nil, nil, err
	}
	have, err := merge.ReadDir(ctx, dir, id.Algorithm(), nil)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot read local changes to /etc: %w", err)
	}
	if err := mayRead(from, have); err != nil {
		return nil, nil, nil, fmt.Errorf("cannot read local changes to /etc: %w", err)
	}
	part = erofs.All
	if from.Etc == deployment.EtcOverlay && !whole {
		part = touched(have)
	}
	if base, err = c.Pristine(from.ID, part); err != nil {
		return nil, nil, nil, err
	}
	if from.Etc == deployment.EtcBind {
		merge.FillSkipped(have, base)
		return base, have, part, nil
	}
	if local, err = merge.FromUpper(have, base); err != nil {
		err = fmt.Errorf("cannot read local changes to /etc: %w", err)
	}
	return base, local, part, err
}

// mayRead returns an error if the notes of an overlay are hidden from this process:
// what was deleted in a directory, or is protected, would silently be otherwise.
func mayRead(from Side, have *tree.Node) error {
	if from.Etc != deployment.EtcOverlay || len(have.Entries()) == 0 {
		return nil
	}
	return sys.MaySeeTrusted()
}

// makeDir makes a directory if it is missing. Most often it was made when the
// deployment was staged, and synced: at shutdown each further sync takes time.
func makeDir(fsys durable.FS, name string) error {
	if info, err := fsys.Lstat(name); err == nil && info.IsDir() {
		return nil
	}
	return durable.MkdirAll(fsys, name, 0o755)
}

// touched returns the part of an image that an upper directory affects:
// what it changes, and names in the directories where it changes something. A
// renamed directory has to do with another place, so then it is all.
func touched(upper *tree.Node) erofs.Part {
	renamed := false
	upper.Walk(func(_ string, n *tree.Node) { renamed = renamed || merge.IsRenamed(n) })
	if renamed {
		return erofs.All
	}
	return touchedIn(upper)
}

func touchedIn(upper *tree.Node) erofs.Part {
	return func(name string) erofs.Part {
		n := upper.Entry(name)
		switch {
		case n == nil:
			return nil
		case n.IsDir() && !merge.IsOpaque(n):
			return touchedIn(n)
		}
		return erofs.All
	}
}

// Write atomically makes merged the /etc of a deployment whose image has next. It stops
// with the cause when ctx ends, unless all is written.
func (c Carrier) Write(ctx context.Context, to Side, merged, next *tree.Node, open merge.Opener) error {
	changes := durable.OS(c.Sysroot)
	if to.Etc == deployment.EtcBind {
		if err := makeDir(changes, to.ID.Dir()); err != nil {
			return err
		}
		return merge.WriteDir(ctx, c.Sysroot, to.ID.EtcDir(), merged, open)
	}
	if err := makeDir(changes, to.ID.EtcDir()); err != nil {
		return err
	}
	return merge.WriteUpper(ctx, c.Sysroot, to.ID.EtcUpper(), merged, next, open)
}

// Pristine returns the part of /etc that is asked for, as the deployment's image
// has it.
func (c Carrier) Pristine(id deployment.ID, part erofs.Part) (*tree.Node, error) {
	tree, err := c.readImage(id, func(name string) erofs.Part {
		if name == "etc" {
			return part
		}
		return nil
	})
	if err != nil {
		return nil, &deployment.DamagedImageError{ID: id, Err: err}
	}
	etc := tree.Lookup("etc")
	if etc == nil || !etc.IsDir() {
		return nil, fmt.Errorf("the image of deployment %s has no directory /etc", id.Short())
	}
	return etc, nil
}

func (c Carrier) readImage(id deployment.ID, part erofs.Part) (*tree.Node, error) {
	d, err := id.Digest()
	if err != nil {
		return nil, err
	}
	image, err := c.OpenObject(d)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	info, err := image.Stat()
	if err != nil {
		return nil, err
	}
	return erofs.ReadPart(image, info.Size(), part)
}

// OpenContent opens the content of a file of an image.
func (c Carrier) OpenContent(n *tree.Node) (io.ReadCloser, error) {
	if n.Digest.IsZero() {
		return nil, fmt.Errorf("file with payload %q has no digest", n.Payload())
	}
	return c.OpenObject(n.Digest)
}
