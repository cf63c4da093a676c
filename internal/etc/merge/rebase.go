// Package merge carries local changes to /etc from one image to the next.
// It hides how a merge decides, and how local changes are kept on disk: in the upper
// directory of an overlay, or as a full copy.
//
// A merge has three inputs: base is the /etc of the booted image, local is the /etc of the
// machine, and next is the /etc of the staged image. Files that differ between base and local
// are taken from local, all others from next.
package merge

import (
	"context"
	"io"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// An Opener opens the content of a regular file of one of the trees. It is not
// asked for files that are empty or kept inline.
type Opener func(*tree.Node) (io.ReadCloser, error)

// Options are the choices of a merge.
type Options struct {
	Conflicts deployment.ConflictPolicy // "" means ConflictsFail
	// Aside is where the side goes that loses a conflict: a path below /etc,
	// such as ".conflicts/ID". Where it is taken, a number is added. Without
	// it, what loses is lost.
	Aside string
	Open  Opener
}

// A Result is a merged tree with an account of how it came about. All lists
// are in the order of the tree.
type Result struct {
	Tree *tree.Node
	// Changes are those from base to local: what the machine has changed.
	Changes []Change
	// Conflicts are the places where the policy had to decide.
	Conflicts []Conflict
	// Aside is where the sides are that have lost, "" if nothing is there.
	Aside string
	// NewDefaults are files that the image changed but that stay as they are
	// here, since they have been changed here too.
	NewDefaults []NewDefault
	// Records tells of files that were merged line by line.
	Records []RecordMerge
	// Warnings are sentences about what is merged but may not be meant.
	Warnings []string
}

// A NewDefault is a default of the new image that a local change hides.
type NewDefault struct {
	Path  string
	Base  *tree.Node // the old default, nil if there was none
	Local *tree.Node // nil if it was deleted
	New   *tree.Node
}

// A Conflict is a place where a local change and a change of the image exclude
// each other.
type Conflict struct {
	Path   string
	Reason Reason
	// Paths are the local files that have no place beside what the image has.
	Paths []string
	Local *tree.Node
	New   *tree.Node // nil if the image removed the directory
}

// A Reason says what kind of conflict it is.
type Reason string

// The kinds of conflict.
const (
	FileAgainstDirectory Reason = "local file, directory in the new image"
	DirectoryAgainstFile Reason = "local directory, file in the new image"
	DirectoryRemoved     Reason = "local files in a directory that the new image does not have"
)

// Rebase merges what local has changed in base into next. The three trees are
// directories; they are not changed, and the result shares nodes with them:
// where local has changed nothing, its nodes are those of next.
//
// The time that Rebase takes depends on where local and base are different
// nodes, so local should share with base what is unchanged, as FromUpper does.
// An error tells that a content could not be read, or is the cause of ctx if that has
// ended.
func Rebase(ctx context.Context, base, local, next *tree.Node, opts Options) (*Result, error) {
	m := &merger{
		compare: compare{ctx, opts.Open}, opts: opts, result: &Result{},
		copies: map[*tree.Node]*tree.Node{}, attributed: map[pair]*tree.Node{},
	}
	changes, err := m.diff(base, local)
	if err != nil {
		return nil, err
	}
	m.result.Changes = changes
	if m.result.Tree, err = m.mergeDirs("/", base, local, next); err != nil {
		return nil, err
	}
	m.putAside()
	return m.result, nil
}
