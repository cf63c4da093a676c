package update

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/image/updateconfig"
)

// previous returns the origins of the deployments that an image would replace.
func (m *Machine) previous() ([]deployment.Origin, error) {
	ids, err := m.followed()
	if err != nil {
		return nil, err
	}
	var all []deployment.Origin
	for _, id := range ids {
		o, err := m.readOrigin(id)
		if err != nil {
			return nil, err
		}
		if o.Created == "" { // bootc made it
			o.Created = m.createdBy(o.ManifestDigest)
		}
		all = append(all, o)
	}
	return all, nil
}

// createdBy returns when an image was made by the configuration that the repository
// has of it, "" if that is not there or does not say so.
func (m *Machine) createdBy(manifestDigest string) string {
	if m.Repository == nil || manifestDigest == "" {
		return ""
	}
	about, err := m.Repository.About(manifestDigest)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.warn(fmt.Errorf("cannot tell when the deployed image was built, so a downgrade may go unnoticed: %w", err))
	}
	return about.Created
}

// checkImage warns of an image that is older than the deployed one, or no longer
// signed. Where nobody named the image it refuses what update.toml forbids.
func (m *Machine) checkImage(img *oci.Image, o Options) error {
	before, err := m.previous()
	if err != nil {
		return err
	}
	rules, err := m.rules(o)
	if err != nil {
		return err
	}
	if rules.require() == updateconfig.Signed && img.Signature != oci.Signed {
		return refusal(img, `require = "signed"`, "the signature is: "+img.Signature)
	}
	wasSigned := slices.ContainsFunc(before, func(o deployment.Origin) bool { return o.Signature == oci.Signed })
	if wasSigned && img.Signature != oci.Signed {
		m.warn(fmt.Errorf("the deployed image is signed, but the policy requires no signature for %s", img.Reference))
	}
	why := downgrade(img, before)
	switch {
	case why == "":
		return nil
	case !rules.allowDowngrade():
		return refusal(img, "allow-downgrade = false", "it "+why)
	}
	m.warn(fmt.Errorf("downgrade: %s %s", img.Reference, why))
	return nil
}

// checkSealed does the same for an image that is not sealed.
func (m *Machine) checkSealed(img *oci.Image, s *system.System, o Options) error {
	if u := s.Kernel.UKI; u != nil {
		strict := func(t deployment.Target) bool { return !t.VerityOptional }
		if !m.Repository.Insecure() && !slices.ContainsFunc(u.Targets, strict) {
			m.warn(fmt.Errorf("%s is sealed with composefs=?: its files are not verified when they are read", img.Reference))
		}
		return nil
	}
	rules, err := m.rules(o)
	if err != nil {
		return err
	}
	if rules.require() == updateconfig.Sealed {
		return refusal(img, `require = "sealed"`, "it has no unified kernel image")
	}
	before, err := m.previous()
	if slices.ContainsFunc(before, func(o deployment.Origin) bool { return o.BootType == deployment.BootUKI }) {
		m.warn(fmt.Errorf("the deployed image is sealed, but %s is not", img.Reference))
	}
	return err
}

// rules returns what the configuration demands of an image: nothing, if an
// administrator named it.
func (m *Machine) rules(o Options) (config, error) {
	if o.Reference != "" {
		return config{}, nil
	}
	return m.config()
}

// A RefusedError reports that an image does not satisfy update.toml.
type RefusedError struct{ Reference, Rule, Why string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s refused: update.toml has %s, but %s", e.Reference, e.Rule, e.Why)
}

func refusal(img *oci.Image, rule, why string) error {
	return &RefusedError{img.Reference.String(), rule, why}
}

// downgrade says why an image is older than those that it would replace, "" if it is
// not. Where there is a date to compare with, an image without one may be older.
func downgrade(img *oci.Image, before []deployment.Origin) string {
	var newest time.Time
	for _, o := range before {
		// An origin without a valid date does not count.
		if t, err := time.Parse(time.RFC3339, o.Created); err == nil && t.After(newest) {
			newest = t
		}
	}
	const day = "2006-01-02 15:04 UTC"
	switch created := img.Config.Created; {
	case newest.IsZero():
		return ""
	case created == nil:
		return "has no build date; the deployed image was built " + newest.UTC().Format(day)
	case created.Truncate(time.Second).Before(newest):
		return fmt.Sprintf("was built %s, before the deployed image (%s)", created.UTC().Format(day), newest.UTC().Format(day))
	}
	return ""
}
