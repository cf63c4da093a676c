package edit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// Trees are the directories of a merge.
type Trees struct {
	Base  string // the old defaults
	Local string // what has become of them
	New   string // the new defaults
	Out   string // where the merged tree goes: missing or empty
}

// Merge merges what was changed from Base to Local into New, and writes Out. The
// report is complete even if the error is ErrConflicts, when nothing is written. Its
// paths are relative to the trees, except that files that were set aside are in Out.
func Merge(ctx context.Context, t Trees, policy deployment.ConflictPolicy) (deployment.EtcReport, error) {
	report := deployment.EtcReport{Policy: policy}
	if err := checkOut(t.Out); err != nil {
		return report, err
	}
	var dirs []*os.File
	for _, name := range []string{t.Base, t.Local, t.New} {
		dir, err := os.Open(name)
		if err != nil {
			return report, err
		}
		defer dir.Close()
		dirs = append(dirs, dir)
	}
	trees, open, err := merge.ReadDirs(ctx, digest.SHA512, dirs...)
	if err != nil {
		return report, err
	}
	options := merge.Options{Conflicts: policy, Aside: carry.ConflictsDir + "/merge", Open: open}
	result, err := merge.Rebase(ctx, trees[0], trees[1], trees[2], options)
	if err != nil {
		return report, err
	}
	result.Warnings = append(result.Warnings, merge.Skipped(trees[1])...)
	refused := len(result.Conflicts) > 0 && policy == deployment.ConflictsFail
	if refused {
		policy, result.Aside = "", ""
	}
	carry.Places{Aside: t.Out}.Describe(&report, result, policy)
	if refused {
		return report, ErrConflicts
	}
	parent, err := os.OpenRoot(filepath.Dir(t.Out))
	if err != nil {
		return report, err
	}
	defer parent.Close()
	err = merge.WriteDir(ctx, parent, filepath.Base(t.Out), result.Tree, open)
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		err = fmt.Errorf("%w: owners, devices and some attributes need root", err)
	}
	return report, err
}

// ErrConflicts reports that a merge was refused because of conflicts.
var ErrConflicts = errors.New("nothing was written because of conflicts")

// checkOut refuses a place where something is.
func checkOut(name string) error {
	list, err := os.ReadDir(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(list) > 0:
		return fmt.Errorf("%s is not empty: want a missing or empty directory", name)
	}
	return nil
}
