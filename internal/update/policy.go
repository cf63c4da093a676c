package update

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// underPolicy returns o with the signature policy to apply: the one that is given, or
// else the one that an earlier run was given. A timer, which gives none, must not
// accept what that policy refuses.
func (m *Machine) underPolicy(o Options) (Options, error) {
	var err error
	if o.Source.PolicyFile != "" {
		o.Source.PolicyFile, err = filepath.Abs(o.Source.PolicyFile)
		return o, err
	}
	if o.Source.PolicyFile, err = m.recordedPolicy(); err != nil || o.Source.PolicyFile == "" {
		return o, err
	}
	if _, err := os.Stat(o.Source.PolicyFile); err != nil {
		return o, &LostPolicyError{err}
	}
	return o, nil
}

// A LostPolicyError reports that the signature policy given to an earlier run cannot be
// read, or that it is not known whether there was one.
type LostPolicyError struct{ Err error }

func (e *LostPolicyError) Error() string {
	return "cannot read the signature policy that an earlier run used: " + e.Err.Error()
}

func (e *LostPolicyError) Unwrap() error { return e.Err }

// recordedPolicy returns the policy that was given for the deployment whose reference
// counts, or else for another one: after a rollback, that of the newer deployment
// still counts. It is "" if none was given.
func (m *Machine) recordedPolicy() (string, error) {
	followed, err := m.followed()
	if err != nil {
		return "", err
	}
	var since time.Time // when it was known that no policy had been given before
	for _, id := range followed {
		o, err := m.readOrigin(id)
		if err != nil || o.Policy != "" {
			return o.Policy, err
		}
		// Another program does not look for a policy.
		if at := m.writtenAt(id); o.Signature != "" && at.After(since) {
			since = at
		}
	}
	return m.othersPolicy(followed, since)
}

// othersPolicy returns the policy that was given for any other deployment. An origin that
// cannot be read is an error if it was written later than since, unless another names a
// policy: an older origin would have passed its policy on.
func (m *Machine) othersPolicy(followed []deployment.ID, since time.Time) (string, error) {
	list, err := fs.ReadDir(m.Root.FS(), deployment.DeployDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var unknown error
	for _, d := range list {
		id, err := deployment.ParseID(d.Name())
		if err != nil || slices.Contains(followed, id) {
			continue
		}
		o, err := m.readOrigin(id)
		switch {
		case o.Policy != "":
			return o.Policy, nil
		case err != nil && m.writtenAt(id).Before(since):
			m.warn(fmt.Errorf("%w; going on without it", err))
		case err != nil && unknown == nil:
			unknown = &LostPolicyError{err}
		}
	}
	return "", unknown
}

// writtenAt returns when the origin of a deployment was written, the zero time if it has
// none. One that cannot be looked at counts as written just now.
func (m *Machine) writtenAt(id deployment.ID) time.Time {
	info, err := m.Root.Lstat(id.OriginFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return time.Time{}
	case err != nil:
		return time.Now()
	}
	return info.ModTime()
}
