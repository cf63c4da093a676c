package edit

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
)

// An Action says what a step does.
type Action string

// The actions.
const (
	Restore  Action = "restore"  // the file as the image has it, with all that is in it
	Remove   Action = "remove"   // what the image does not have
	Make     Action = "make"     // a directory of the image, on the way to a file
	Metadata Action = "metadata" // owner, mode and attributes
)

// A Step is a change that brings back what the image has.
type Step struct {
	Do   Action `json:"do"`
	Path string `json:"path"`

	local, image *tree.Node // nil where there is nothing
}

// String returns the step as a sentence.
func (s Step) String() string {
	what, at := "file", printable.Name(s.Path)
	if n := s.image; n != nil {
		what = diff.TypeName(n)
	} else if s.local != nil {
		what = diff.TypeName(s.local)
	}
	switch s.Do {
	case Remove:
		return fmt.Sprintf("remove %s, a %s that is not in the image", at, what)
	case Make:
		return fmt.Sprintf("create the directory %s, empty", at)
	case Metadata:
		return fmt.Sprintf("restore owner, mode and attributes of %s", at)
	}
	if s.local == nil {
		return fmt.Sprintf("restore %s, a deleted %s", at, what)
	}
	return fmt.Sprintf("replace %s with the image's %s", at, what)
}

// An AccountsError reports that a file with accounts was not reset.
type AccountsError struct{ Path string }

func (e *AccountsError) Error() string {
	return "cannot reset " + printable.Name(e.Path) + ": the image has none of the accounts made on this machine"
}

// accounts are files without which nobody may be able to log in.
var accounts = []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid"}

// PlanReset returns the steps after which the given paths, as Clean returns
// them, are as the image has them. It changes nothing. Without force it refuses
// what the machine most likely cannot do without.
func (e *Etc) PlanReset(ctx context.Context, paths []string, force bool) ([]Step, error) {
	changes, err := merge.Diff(ctx, e.Base, e.Local, e.open)
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, p := range paths {
		switch {
		case p == "/etc":
			return nil, errors.New("resetting all of /etc would delete users, host keys and the hostname; name the files to reset")
		case slices.Contains(accounts, p) && !force:
			return nil, &AccountsError{p}
		}
		found, err := e.stepsFor(p, changes)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if !slices.ContainsFunc(steps, func(t Step) bool { return t.Path == s.Path }) {
				steps = append(steps, s)
			}
		}
	}
	return steps, nil
}

// stepsFor returns the steps for one path.
func (e *Etc) stepsFor(p string, changes []merge.Change) ([]Step, error) {
	if err := e.checkExists(p); err != nil {
		return nil, err
	}
	var steps []Step
	for _, c := range changes {
		at := path.Join("/etc", c.Path)
		switch {
		case strings.HasPrefix(p, at+"/") && c.Kind == merge.Removed:
			bare := c.Old.Clone()
			bare.Clear()
			steps = append(steps, Step{Make, at, nil, bare})
		case strings.HasPrefix(p, at+"/") && c.What&diff.Type != 0 && !c.New.IsDir():
			return nil, fmt.Errorf("cannot reset %s: %s is a %s here; reset %s instead", p, at, diff.TypeName(c.New), at)
		case at != p && !strings.HasPrefix(at, p+"/"), covered(steps, at):
		default:
			steps = append(steps, stepFor(at, c))
		}
	}
	for _, dir := range merge.SkippedDirs(e.Local) {
		at := path.Join("/etc", dir)
		if (within(at, []string{p}) || within(p, []string{at})) && !covered(steps, at+"/.") {
			return nil, notRead(at)
		}
	}
	for _, s := range steps {
		if m := e.mountedAt(s); m != "" {
			return nil, fmt.Errorf("%s is a mount point; unmount it first", m)
		}
	}
	return steps, nil
}

// notRead returns the error for a directory in which nobody knows what to reset.
func notRead(dir string) error {
	return fmt.Errorf("cannot reset: %s has too many files or directories to be read; remove some of them", printable.Name(dir))
}

// checkExists refuses a path, as Clean returns it, where there is nothing and was
// nothing.
func (e *Etc) checkExists(p string) error {
	if e.Base.Lookup(below(p)) == nil && e.Local.Lookup(below(p)) == nil {
		return fmt.Errorf("%s: no such file here or in the image", p)
	}
	return nil
}

func stepFor(at string, c merge.Change) Step {
	s := Step{Restore, at, c.New, c.Old}
	switch c.Kind {
	case merge.Added:
		s.Do = Remove
	case merge.Metadata:
		s.Do = Metadata
	}
	return s
}

// covered reports whether a step restores or removes what is at a path, with the
// directory that it is in.
func covered(steps []Step, at string) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		return (s.Do == Restore || s.Do == Remove) && strings.HasPrefix(at, s.Path+"/")
	})
}

// mountedAt returns the mount point that is in the way of a step, "" if none is.
func (e *Etc) mountedAt(s Step) string {
	for _, m := range e.mounts {
		if m.Where == s.Path && s.Path != "/etc" || s.Do != Metadata && s.Do != Make && strings.HasPrefix(m.Where, s.Path+"/") {
			return m.Where
		}
	}
	return ""
}

// below returns a path below /etc relative to it.
func below(p string) string { return strings.TrimPrefix(strings.TrimPrefix(p, "/etc"), "/") }
