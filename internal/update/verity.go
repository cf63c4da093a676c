package update

import (
	"context"
	"errors"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

// Verity reports whether a deployment boots where fs-verity is missing. Empty is what
// the previous deployment says, or for the first one what the file system can do.
type Verity string

// What Options.Verity may ask for.
const (
	VerityRequired Verity = "required"
	VerityOptional Verity = "optional" // composefs=?: nothing is verified where it is missing
)

// verity is what was decided for a new deployment.
type strictness struct {
	optional bool
	floor    bool // the previous deployment is strict, and nobody allowed less
}

// verity decides how strict a new deployment is, and has fs-verity protect the
// repository if it has to. What the booted deployment demands is never given up by
// itself: meta.json may say less, as bootc writes it without fs-verity.
func (m *Machine) verity(ctx context.Context, o Options) (strictness, error) {
	before, known, err := m.verityBefore()
	if err != nil {
		return strictness{}, err
	}
	v := strictness{optional: m.Repository.Insecure()}
	if known {
		v = strictness{optional: before, floor: !before}
	}
	if o.Verity != "" {
		v = strictness{optional: o.Verity == VerityOptional, floor: o.Verity == VerityRequired}
	}
	if v.optional {
		return v, nil
	}
	err = m.Repository.Protect(ctx)
	if errors.Is(err, verity.ErrNotSupported) && o.Verity == "" {
		err = fmt.Errorf("%w, but %w", err, ErrVerityRequired)
	}
	return v, err
}

// ErrVerityRequired reports that the new system would verify less than the current one.
var ErrVerityRequired = errors.New("the current system requires fs-verity")

// verityBefore returns whether the deployment that a new one follows boots without
// fs-verity. It is not known where there is none.
func (m *Machine) verityBefore() (optional, known bool, err error) {
	_, options, err := m.optionsBefore()
	if err != nil || options == "" {
		return false, false, err
	}
	t, err := deployment.FromCmdline(kcmdline.Parse(options))
	if errors.Is(err, deployment.ErrNoDeployment) {
		return false, false, nil
	}
	return t.VerityOptional, err == nil, err
}

// checkSealedVerity refuses a sealed image that would boot with less, or with more, than
// the machine has.
func (m *Machine) checkSealedVerity(ctx context.Context, sealed deployment.Target, v strictness) error {
	if sealed.VerityOptional {
		if v.floor {
			return fmt.Errorf("image is sealed for %s, which boots without fs-verity, but %w", sealed.Karg(), ErrVerityRequired)
		}
		return nil
	}
	err := m.Repository.Protect(ctx)
	if errors.Is(err, verity.ErrNotSupported) {
		return fmt.Errorf("image cannot boot: it is sealed for %s, which requires fs-verity, but this machine's repository has none: %w", sealed.Karg(), err)
	}
	return err
}
