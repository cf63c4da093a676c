package merge

import (
	"math"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/dirstack"
)

// An allowance is how many more files may be read below the directories of one user. It
// keeps users other than root from holding up updates with millions of files.
type allowance struct {
	uid  uint32
	left int
}

// allowanceOf returns the allowance of n's owner, nil for root and for the user of this
// process.
func (r *dirReader) allowanceOf(n *tree.Node) *allowance {
	if !r.limited || n.UID == 0 || int(n.UID) == os.Geteuid() {
		return nil
	}
	for _, a := range r.allowances {
		if a.uid == n.UID {
			return a
		}
	}
	a := &allowance{n.UID, int(limits.EtcFiles.Value)}
	r.allowances = append(r.allowances, a)
	return a
}

// directory reads what is in the innermost directory, of which n has the metadata. It
// leaves n empty where a user has too many files.
func (r *dirReader) directory(path string, n *tree.Node) error {
	if r.below == nil && path != "/" {
		r.below = r.allowanceOf(n)
	}
	most := math.MaxInt
	if r.below != nil {
		most = r.below.left
	}
	names, err := dirstack.NamesUpTo(r.ctx, r.dirs.Dir(), most)
	if err != nil {
		return err
	}
	if len(names) > most {
		skip(n, limits.EtcFiles.Exceeded().Error())
		return nil
	}
	if r.below != nil {
		r.below.left -= len(names)
	}
	return r.entries(path, n, names)
}
