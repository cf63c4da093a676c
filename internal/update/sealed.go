package update

import (
	"context"
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
)

// transformSealed gives the tree the form of which the unified kernel image has
// the digest. The machine boots no other, so an image that has that digest in no
// form is refused here, and not by its own initramfs.
func (s *System) transformSealed(ctx context.Context) error {
	var first error
	for _, target := range s.Kernel.UKI.Targets {
		m, err := s.match(ctx, target)
		if err == nil {
			s.Tree, s.form = m.Root, m.Variant
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
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
		return nil, fmt.Errorf("%s, a %s digest, and the repository of this machine has %s", sealed, want.Algorithm(), s.repo.Algorithm())
	}
	if s.repo.Insecure() && !target.VerityOptional {
		return nil, fmt.Errorf("%s, which demands fs-verity, and the repository of this machine does without", sealed)
	}
	m, err := canonical.Find(ctx, s.Tree, s.content, true, want)
	if other := (*canonical.Mismatch)(nil); errors.As(err, &other) {
		other.Image = s.name
		return nil, fmt.Errorf("%s, which it is not: %w", sealed, other)
	}
	return m, err
}
