package system

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
)

// transformSealed gives the tree the form of which the unified kernel image has
// the digest. The machine boots no other, so an image that has that digest in no
// form is refused here, and not by its own initramfs.
func (s *System) transformSealed(ctx context.Context) error {
	err := s.matchAny(ctx)
	if other := (*canonical.Mismatch)(nil); len(s.late) == 0 || !errors.As(err, &other) {
		return err
	}
	if found, orderErr := s.matchInOrder(ctx); !found {
		return errors.Join(err, orderErr)
	}
	return nil
}

// matchAny finds the form for one of the digests that the unified kernel image has.
func (s *System) matchAny(ctx context.Context) error {
	var first error
	for _, target := range s.Kernel.UKI.Targets {
		m, err := s.match(ctx, target)
		if err == nil {
			s.Tree, s.Form, s.SealedFor = m.Root, m.Variant, &target
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// matchInOrder is matchAny for layers whose whiteouts take effect in the order of the
// archive, as for composefs-rs, and reports whether there is a form then.
func (s *System) matchInOrder(ctx context.Context) (bool, error) {
	m := layer.Merger{InOrder: true, Expand: s.expand}
	if err := s.merge(ctx, &m); err != nil {
		return false, ctx.Err() // composefs-rs cannot have sealed it so
	}
	proper := s.Tree
	s.Tree = m.Root
	if err := s.matchAny(ctx); err != nil {
		s.Tree = proper
		return false, ctx.Err()
	}
	s.Warnings = append(s.Warnings, fmt.Sprintf("the image is sealed for a tree in which whiteouts also remove files of their own layer; "+
		"files that should be there are missing because of %s", strings.Join(s.late, ", ")))
	return true, s.describe(ctx)
}

// match finds the form in which the system has the digest that it was sealed
// for.
func (s *System) match(ctx context.Context, target deployment.Target) (*canonical.Match, error) {
	sealed := fmt.Sprintf("image cannot boot: /%s is sealed for %s", s.Kernel.UKI.Path, target.Karg())
	want, err := target.ID.Digest()
	if err != nil {
		return nil, err
	}
	if want.Algorithm() != s.repo.Algorithm() {
		return nil, fmt.Errorf("%s, a %s digest, but the repository of this machine has %s", sealed, want.Algorithm(), s.repo.Algorithm())
	}
	m, err := canonical.Find(ctx, s.Tree, s.Content, true, want)
	if other := (*canonical.Mismatch)(nil); errors.As(err, &other) {
		other.Image = s.name
		return nil, fmt.Errorf("%s, but %w", sealed, other)
	}
	return m, err
}
