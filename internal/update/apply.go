package update

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/loader"
)

// Options say what to apply.
type Options struct {
	Reference   string      // of the image; empty means the one the machine follows
	Force       bool        // also an image whose deployment has failed here, also without any boot entry
	Track       string      // reference to follow from then on; empty means Reference
	Kargs       []string    // kernel arguments for a machine's first deployment
	KargDeletes []string    // arguments, or keys, that the first deployment does not have though its image or Kargs do
	RootKargs   []string    // by which it finds its root, if neither Kargs nor the image name one
	Source      oci.Options // how to read the image
	Reuse       []string    // repositories from which layers are taken instead of being fetched
	Verity      Verity      // whether the system boots without fs-verity; empty keeps what it is
	Loader      string      // the kind of boot loader that the image must have, "" if it need not have one
	// Settle completes the options once the image is read, before anything of it is staged; nil
	// if they are complete.
	Settle func(*system.System, *Options) error
	// EtcConflicts says what to do where a local change to /etc and the image
	// exclude each other; "" is deployment.ConflictsFail, which changes nothing.
	EtcConflicts deployment.ConflictPolicy
	SoftReboot   Wish    // a soft reboot is to continue with the new deployment
	Kexec        Wish    // the running kernel is to start the new one
	Reboot       bool    // the machine is to reboot then: update.toml may wish for a way
	RootKeys     []byte  // the SSH keys that let root log in to a machine's first deployment; nil for none
	Former       *Former // the system whose place a machine's first deployment takes; nil for none
	DownloadOnly bool    // what is staged is locked: no reboot boots it until it is unlocked
}

// A Result says what apply came to, and with which system.
type Result struct {
	Decision
	Name           string                   `json:"name"`
	Version        string                   `json:"version,omitempty"`
	Reference      string                   `json:"reference"`
	ManifestDigest string                   `json:"manifestDigest"`
	Signature      string                   `json:"signature"`              // how it was checked: see oci.Image
	EtcConflicts   []deployment.EtcConflict `json:"etcConflicts,omitempty"` // that the policy decides
	SoftReboot     *Possibility             `json:"softReboot,omitempty"`   // nil if none was asked for, or nothing new boots
	Kexec          *Possibility             `json:"kexec,omitempty"`        // the same
	kexec          Wish
	Locked         bool            `json:"locked,omitempty"`   // it is staged, and no reboot boots it until it is unlocked
	Unlocked       bool            `json:"unlocked,omitempty"` // it was locked before
	Removed        []deployment.ID `json:"removed,omitempty"`  // deployments that do not stay
	Timings        []Timing        `json:"timings,omitempty"`
}

// Apply makes an image the system that boots next. On the running machine the
// deployment is staged, and takes over when finalize runs at shutdown; on
// another it is the next when Apply returns nil. If Apply fails or is stopped
// at any moment, the machine boots what it runs or would have booted, and Apply
// again uses what is there already.
func (m *Machine) Apply(ctx context.Context, o Options, r Reporter) (Result, error) {
	clock := startClock()
	from, _ := m.current() // for the history alone
	result, err := m.apply(ctx, o, r, clock)
	if err != nil {
		return Result{}, m.afterFull(ctx, err)
	}
	m.rememberApply(result, from)
	// The next boot is settled. If this run cannot collect garbage, the next one does.
	pruned, err := m.pruneAfter(ctx)
	if err != nil {
		m.warn(err)
	} else {
		result.Removed = pruned.Deployments
	}
	clock.split("prune")
	if err := m.updateLoader(r); err != nil {
		m.warn(err)
	}
	m.copyESPs(ctx)
	result.Timings = clock.timings
	return result, nil
}

func (m *Machine) apply(ctx context.Context, o Options, r Reporter, clock *clock) (Result, error) {
	img, o, err := m.begin(ctx, o, r)
	if err != nil {
		return Result{}, err
	}
	defer img.Close()
	clock.split("resolve")
	m.noteChecked(img)
	if o, err = m.withWishes(o); err != nil {
		return Result{}, err
	}
	result := Result{Reference: img.Reference.String(), ManifestDigest: img.ManifestDigest, Signature: img.Signature, kexec: o.Kexec}
	if done, err := m.decideFor(ctx, img, "", o, &result); err != nil {
		return result, err
	} else if done {
		return result, m.addLocal(ctx, result, o)
	}
	if err := img.ReadConfig(ctx); err != nil { // unless that is done, see readUnknown
		return Result{}, err
	}
	if err := m.checkImage(img, o); err != nil {
		return Result{}, err
	}
	verity, err := m.verity(ctx, o)
	if err != nil {
		return Result{}, err
	}
	if err := m.whileShared(ctx, func() error { return m.fetch(ctx, img, o, r) }); err != nil {
		return Result{}, err
	}
	clock.split("layers")
	c, err := m.build(ctx, img, o, verity, r, clock)
	if err != nil {
		return Result{}, err
	}
	result.Name, result.Version = c.Name, c.Version
	if done, err := m.decideFor(ctx, img, c.id, o, &result); done || err != nil {
		return result, err
	}
	if result.EtcConflicts, err = m.checkEtc(ctx, c, o.EtcConflicts); err != nil {
		return Result{}, err
	}
	clock.split("etc")
	if o.SoftReboot != NotWanted && result.Outcome == Staged {
		if result.SoftReboot, err = m.checkSoftReboot(ctx, c.System, c.options, o); err != nil {
			return Result{}, err
		}
	}
	if o.Kexec != NotWanted && result.Outcome == Staged {
		if result.Kexec, err = m.tryKexec(c, o.Kexec); err != nil {
			return Result{}, err
		}
	}
	if err := RecordImage(img, m.Repository, c.id, c.Form); err != nil {
		return Result{}, fmt.Errorf("cannot record the image: %w", err)
	}
	clock.split("record")
	if err := m.deploy(ctx, c, &result, r); err != nil {
		return Result{}, err
	}
	if result.Outcome != RollbackQueued && !result.Locked {
		m.checkNext(c.id)
	}
	clock.split("stage")
	if result.SoftReboot != nil && result.SoftReboot.Possible {
		err = m.requestSoftReboot(c.target, c.Mounts)
	}
	return result, err
}

// decideFor decides about the image, which makes the deployment id unless that is not
// known yet, and reports whether that is the end of it. That an image was skipped is an
// error if somebody has named it: it is not what was asked for.
func (m *Machine) decideFor(ctx context.Context, img *oci.Image, id deployment.ID, o Options, result *Result) (bool, error) {
	s, err := m.readState()
	if err != nil {
		return false, err
	}
	d := decide(s, o.subject(img, id))
	result.Decision = d
	if d.settled {
		result.Name, result.Version = nameOf(s, d.ID)
		if d.Outcome == AlreadyNext && s.Staged != nil {
			if err := m.lockAgain(ctx, o, &s, result); err != nil {
				return true, err
			}
		}
		if o.SoftReboot != NotWanted && d.Outcome == AlreadyNext {
			result.SoftReboot, err = m.softRebootStaged(ctx, img, o, s)
		}
		if err == nil {
			err = m.keep(ctx, img, o, d)
		}
		return true, err
	}
	if o.Force {
		return false, nil
	}
	if err := m.noteFailures(s); err != nil || d.failed == nil {
		return false, err
	}
	if err := m.noteSkipped(s, d.failed.ID, img.ManifestDigest); err != nil || o.Reference == "" {
		return true, err
	}
	d.failed.Reference = o.Reference
	return true, d.failed
}

// subject returns what there is to know of an image to decide about it.
func (o Options) subject(img *oci.Image, id deployment.ID) subject {
	return subject{manifest: img.ManifestDigest, id: id, named: o.Reference != "", forced: o.Force}
}

// begin finds the image to apply, and the options that count, and readies the machine.
func (m *Machine) begin(ctx context.Context, o Options, r Reporter) (img *oci.Image, _ Options, err error) {
	err = m.whileShared(ctx, func() (err error) {
		if img, o, err = m.resolve(ctx, o, r); err == nil {
			err = m.readUnknown(ctx, img, o)
		}
		return err
	})
	if err == nil && m.held != nil {
		err = patiently(ctx, m.exclude)
	}
	if err == nil {
		err = m.prepare(o.Force)
	}
	if err != nil && img != nil {
		err = errors.Join(err, img.Close())
	}
	return img, o, err
}

// readUnknown reads the configuration of an image, and refuses it if that is not for this
// machine, unless the manifest alone tells that there is nothing to do.
func (m *Machine) readUnknown(ctx context.Context, img *oci.Image, o Options) error {
	if s, err := m.readState(); err == nil && decide(s, o.subject(img, "")).settled {
		return nil
	}
	return img.ReadConfig(ctx)
}

// fetch brings the layers of img that are missing into the repository.
func (m *Machine) fetch(ctx context.Context, img *oci.Image, o Options, r Reporter) error {
	layers, err := m.reuse(ctx, missing(img, m.Repository), o.Reuse, r)
	if err != nil {
		return err
	}
	if err := m.checkRoom(layers); err != nil {
		return err
	}
	if c, err := m.config(); err == nil { // of an error, pruning tells
		img.UseGzip(c.gzip())
	}
	return pull(ctx, img, layers, m.Repository, r)
}

// resolve finds the image to apply, and returns it with the options that count: see
// underPolicy. Its configuration is not read.
func (m *Machine) resolve(ctx context.Context, given Options, r Reporter) (*oci.Image, Options, error) {
	o, err := m.underPolicy(given)
	if err != nil {
		return nil, o, err
	}
	ref, err := m.reference(o.Reference)
	if err != nil {
		return nil, o, err
	}
	r.Step("Looking for " + ref.String())
	img, err := oci.Find(ctx, ref, o.Source)
	return img, o, err
}

// reference returns the reference that was given, or else the one that the machine
// follows.
func (m *Machine) reference(given string) (oci.Reference, error) {
	if given != "" {
		return oci.ParseReference(given)
	}
	name, err := m.tracked()
	if err != nil {
		return oci.Reference{}, err
	}
	return oci.ParseOrigin(name)
}

// build makes the composefs image of img, whose layers are in the repository.
func (m *Machine) build(ctx context.Context, img *oci.Image, o Options, v strictness, r Reporter, clock *clock) (candidate, error) {
	system, err := system.Compose(ctx, img, m.Repository, true)
	if err != nil {
		return candidate{}, err
	}
	if err := o.settle(system); err != nil {
		return candidate{}, err
	}
	if err := m.checkSealed(img, system, o); err != nil {
		return candidate{}, err
	}
	clock.split("merge")
	r.Step(Building + system.Title())
	c := candidate{System: system}
	// From then on the image is here. Without a record, another system's entry for it would
	// look like ours.
	if err := m.Boot.Record(); err != nil {
		return candidate{}, err
	}
	if c.id, err = system.Build(ctx); err != nil {
		return candidate{}, err
	}
	for _, w := range system.Warnings {
		m.warn(errors.New(w))
	}
	target := deployment.Target{ID: c.id, VerityOptional: v.optional}
	if system.SealedFor != nil {
		if err := m.excludeKeeping(img, c.id); err != nil { // objects may need fs-verity
			return candidate{}, err
		}
		if err := m.checkSealedVerity(ctx, *system.SealedFor, v); err != nil {
			return candidate{}, err
		}
		target = *system.SealedFor
	}
	c.target = target
	if c.options, err = m.options(system, o, img.Config.Architecture, target); err != nil {
		return candidate{}, err
	}
	c.origin = origin(img, o, system)
	if c.origin.Installed, err = m.installedOptions(system, o); err != nil {
		return candidate{}, err
	}
	c.policy, c.locked, c.former = o.EtcConflicts, o.DownloadOnly, o.Former
	if c.etc, err = keysFor(system, o.RootKeys); err != nil {
		return candidate{}, err
	}
	clock.split("image")
	return c, nil
}

// settle completes the options, and refuses an image without the boot loader that it must have.
func (o *Options) settle(s *system.System) error {
	if o.Settle != nil {
		if err := o.Settle(s, o); err != nil {
			return err
		}
	}
	if o.Loader == "" {
		return nil
	}
	if _, err := loader.Find(o.Loader, s.OpenPath, runtime.GOARCH); err != nil {
		return fmt.Errorf("cannot install boot loader: %w", err)
	}
	return nil
}

// deploy makes the candidate the next to boot, now or at shutdown, as was decided.
func (m *Machine) deploy(ctx context.Context, c candidate, result *Result, r Reporter) error {
	if result.DroppedStaged != "" || result.DroppedRollback != "" {
		m.clearDiversions() // they may lead to what is dropped
	}
	switch result.Outcome {
	case AlreadyBooted:
		return m.stayBooted(ctx, c, result)
	case RollbackQueued:
		if _, err := m.unstage(); err != nil {
			return err
		}
		return m.follow(c.id, c.origin)
	}
	r.Step(Staging + c.Title() + m.onWhich())
	m.clearDiversions()
	entry, err := m.writeDeployment(ctx, c)
	if err != nil {
		return err
	}
	if result.Outcome == Staged {
		result.Locked = c.locked
		return m.stage(ctx, c, entry)
	}
	return m.publish(ctx, c, entry)
}

// stayBooted makes the booted deployment the next to boot. Its kernel may be another one
// all the same, where that is in /boot, which is no part of what a deployment's id is the
// digest of: then the deployment gets another boot entry at once. There is no /etc to
// carry over.
func (m *Machine) stayBooted(ctx context.Context, c candidate, result *Result) error {
	entry, err := m.otherKernel(ctx, c)
	if err != nil {
		return err
	}
	if entry != "" {
		result.Outcome = Published
		return m.publishOnly(c.id, entry)
	}
	return m.bootedNext(c)
}

// bootedNext drops what is staged and makes the booted deployment the next, if
// another one is.
func (m *Machine) bootedNext(c candidate) error {
	if _, err := m.unstage(); err != nil {
		return err
	}
	next, err := m.next()
	if err != nil {
		return err
	}
	if next.Target.ID != m.Booted {
		if _, err := m.Boot.Rollback(m.Booted); err != nil {
			return err
		}
	}
	return m.follow(c.id, c.origin)
}

// otherKernel stages a boot entry if the candidate, which is the booted
// deployment, comes with another kernel than the one in its boot entry, or has lost
// that entry, and returns the new one's name. Between two kernels in /usr there is
// no difference.
func (m *Machine) otherKernel(ctx context.Context, c candidate) (entry string, err error) {
	files, err := m.entries()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(files, func(f boot.EntryFile) bool { return f.Target.ID == m.Booted })
	if i < 0 { // its entries are lost
		return m.writeDeployment(ctx, c)
	}
	if c.Kernel.UKI == nil && files[i].Entry.IsKernel() {
		return "", nil
	}
	kernel, err := m.makeKernel(ctx, c)
	if err != nil || files[i].Boots(kernel) {
		return "", err
	}
	return m.writeDeployment(ctx, c)
}
