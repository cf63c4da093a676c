package update

import (
	"context"
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/oci"
)

// Options say what to apply.
type Options struct {
	Reference string      // of the image; empty means the one the machine follows
	Track     string      // reference to follow from then on; empty means Reference
	Kargs     []string    // kernel arguments for a machine's first deployment
	Source    oci.Options // how to read the image
}

// Outcome says what apply came to.
type Outcome string

// What apply comes to.
const (
	AlreadyBooted Outcome = "already-booted" // it runs, and boots next
	AlreadyNext   Outcome = "already-next"   // it boots next, or is staged to
	Staged        Outcome = "staged"         // finalize makes it the next at shutdown
	Published     Outcome = "published"      // it is the next: the machine does not run
)

// A Result says what apply came to, and with which system.
type Result struct {
	Outcome        Outcome       `json:"outcome"`
	ID             deployment.ID `json:"deployment"`
	Name           string        `json:"name"`
	Version        string        `json:"version,omitempty"`
	Reference      string        `json:"reference"`
	ManifestDigest string        `json:"manifestDigest"`
	Timings        []Timing      `json:"timings,omitempty"`
}

// Apply makes an image the system that boots next. On the running machine the
// deployment is staged, and takes over when finalize runs at shutdown; on
// another it is the next when Apply returns nil. If Apply fails or is stopped
// at any moment, the machine boots what it runs or would have booted, and Apply
// again uses what is there already.
func (m *Machine) Apply(ctx context.Context, o Options, r Reporter) (Result, error) {
	clock := startClock()
	result, err := m.apply(ctx, o, r, clock)
	if err != nil {
		return Result{}, m.afterFull(err)
	}
	// What boots next is settled. Garbage is for the next run to collect, if
	// this one cannot.
	if err := m.prune(ctx); err != nil {
		m.warn(err.Error())
	}
	clock.split("prune")
	result.Timings = clock.timings
	return result, nil
}

func (m *Machine) apply(ctx context.Context, o Options, r Reporter, clock *clock) (Result, error) {
	img, err := m.resolve(ctx, o, r)
	if err != nil {
		return Result{}, err
	}
	defer img.Close()
	if err := m.prepare(); err != nil {
		return Result{}, err
	}
	clock.split("resolve")
	result := Result{Reference: img.Reference.String(), ManifestDigest: img.ManifestDigest}
	if done, err := m.nothingToDo(img, o, &result); done || err != nil {
		return result, err
	}
	layers := missing(img, m.repo)
	if err := m.checkRoom(layers); err != nil {
		return Result{}, err
	}
	if err := pull(ctx, img, layers, m.repo, r); err != nil {
		return Result{}, err
	}
	clock.split("layers")
	c, err := m.build(ctx, img, o, r, clock)
	if err != nil {
		return Result{}, err
	}
	result.ID, result.Name, result.Version = c.id, c.Name, c.Version
	if err := m.deploy(ctx, c, &result, r); err != nil {
		return Result{}, err
	}
	clock.split("stage")
	return result, nil
}

// resolve finds the image to apply.
func (m *Machine) resolve(ctx context.Context, o Options, r Reporter) (*oci.Image, error) {
	name := o.Reference
	if name == "" {
		var err error
		if name, err = m.tracked(); err != nil {
			return nil, err
		}
	}
	ref, err := oci.ParseReference(name)
	if err != nil {
		return nil, err
	}
	r.Step("Looking for " + ref.String())
	return oci.Open(ctx, ref, o.Source)
}

// build makes the composefs image of img, whose layers are in the repository.
func (m *Machine) build(ctx context.Context, img *oci.Image, o Options, r Reporter, clock *clock) (candidate, error) {
	system, err := compose(ctx, img, m.repo)
	if err != nil {
		return candidate{}, err
	}
	clock.split("merge")
	r.Step("Building " + system.Title())
	c := candidate{System: system}
	if c.id, err = system.build(); err != nil {
		return candidate{}, err
	}
	target := deployment.Target{ID: c.id, VerityOptional: m.repo.Insecure()}
	if c.options, err = m.options(system.Kargs, o.Kargs, img.Config.Architecture, target); err != nil {
		return candidate{}, err
	}
	c.origin = origin(img, o.Track, system)
	clock.split("image")
	if err := recordImage(img, m.repo, c.id); err != nil {
		return candidate{}, fmt.Errorf("cannot record the image: %w", err)
	}
	clock.split("record")
	return c, nil
}

// deploy makes the candidate the next to boot, now or at shutdown.
func (m *Machine) deploy(ctx context.Context, c candidate, result *Result, r Reporter) error {
	if c.id == m.booted {
		result.Outcome = AlreadyBooted
		return m.stayBooted(c)
	}
	r.Step("Staging " + c.Title())
	entry, err := m.writeDeployment(ctx, c)
	if err != nil {
		return err
	}
	if m.booted != "" {
		result.Outcome = Staged
		return m.stage(ctx, c, entry)
	}
	result.Outcome = Published
	return m.publish(c, entry)
}

// stayBooted makes the booted deployment the next to boot: the candidate is
// another manifest of the same content, or what a queued rollback would leave.
func (m *Machine) stayBooted(c candidate) error {
	if _, err := m.unstage(); err != nil {
		return err
	}
	next, err := m.next()
	if err != nil {
		return err
	}
	if next.Target.ID != m.booted {
		if _, err := m.boot.Rollback(m.booted); err != nil {
			return err
		}
	}
	return m.follow(c.id, c.origin)
}
