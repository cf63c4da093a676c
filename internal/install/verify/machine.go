package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
)

// machine looks at the boot entries, at the deployment that boots next, and at the
// repository. Dir is where the physical root can be opened, found what tells how it is
// found at boot; nil if that is not known.
func (r *Report) machine(ctx context.Context, dir string, system *machine.System, found *rootPartition) {
	state := system.State()
	for _, p := range state.Problems {
		r.add("machine", "", p)
	}
	next, ok := boot.Next(state.Files)
	if !ok || !next.IsDeployment() {
		r.add("boot entry", "", noEntry(state.Files))
		return
	}
	r.Next, r.Title = next.Target.ID, strings.TrimSpace(next.Entry.Title)
	r.add("boot entry", next.File, nil)
	for _, f := range state.Files {
		if f.Err != nil && f.IsDeployment() {
			r.add("boot entry", "", fmt.Errorf("%s: %w", f.File, f.Err))
		}
	}
	text := "its digest is right"
	err := system.Boot.CheckKernel(ctx, next.Entry)
	if errors.Is(err, boot.ErrOtherKernel) {
		text, err = err.Error(), nil
	}
	r.add("kernel", text, err)
	if found != nil {
		text, err := found.named(next.Entry.Options)
		r.add("root file system", text, err)
	}
	r.deployment(system, state, next)
	r.repository(ctx, dir, system, next)
}

// noEntry says why no deployment boots next.
func noEntry(files []boot.EntryFile) error {
	for _, f := range files {
		if f.Err != nil {
			return fmt.Errorf("%s: %w", f.File, f.Err)
		}
	}
	if len(files) > 0 {
		return fmt.Errorf("%s comes first, which boots no deployment of this root file system", files[0].File)
	}
	return errors.New("there is none")
}

// deployment looks at the state of the deployment that boots next.
func (r *Report) deployment(system *machine.System, state machine.State, next boot.EntryFile) {
	id := next.Target.ID
	var errs []error
	if !slices.Contains(state.Dirs, id) {
		errs = append(errs, errors.New("it has no state directory"))
	}
	if state.Broken[id] {
		errs = append(errs, errors.New("its image is missing in the repository"))
	}
	if _, err := fs.Stat(system.Sysroot, deployment.SharedVar); err != nil {
		errs = append(errs, fmt.Errorf("/var is missing: %w", err))
	}
	origin := state.Origins[id]
	if origin.Reference == "" {
		errs = append(errs, errors.New("its origin is missing: it cannot be updated"))
	}
	r.add("deployment", id.Short()+", "+origin.Reference, errors.Join(errs...))
}

// repository reads every object, and looks whether fs-verity protects what has to be.
func (r *Report) repository(ctx context.Context, dir string, system *machine.System, next boot.EntryFile) {
	const what = "repository"
	if system.Repository == nil {
		r.add(what, "", readable(system.RepositoryErr))
		return
	}
	insecure := system.Repository.Insecure()
	switch optional := next.Target.VerityOptional; {
	case insecure && !optional:
		r.add("fs-verity", "", errors.New("the boot entry requires it, and the repository has none"))
	case insecure:
		r.add("fs-verity", "optional, and not enabled: nothing is verified at boot", nil)
	case optional:
		r.add("fs-verity", "enabled, and not required", nil)
	default:
		r.add("fs-verity", "enabled, and required", nil)
	}
	repository, err := repair.Open(filepath.Join(dir, deployment.RepositoryDir), false)
	if err != nil {
		r.add(what, "", err)
		return
	}
	defer repository.Close()
	report, err := repository.Check(ctx, repair.Options{})
	if err != nil {
		r.add(what, "", err)
		return
	}
	for _, f := range report.Findings {
		if f.Flaw != repo.LeftOver {
			r.add(what, "", errors.New(f.Problem.String()))
		}
	}
	if len(report.Findings) == 0 {
		r.add(what, fmt.Sprintf("%s, %s, all as their digests say", count(report.Objects, "object"), count(report.Images, "image")), nil)
	}
}

// readable explains that a kernel refuses to open what fs-verity protects.
func readable(err error) error {
	if errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("this kernel has no fs-verity, and cannot read what it protects: look at it on another machine (%w)", err)
	}
	return err
}

// A rootPartition is what tells how an initramfs finds the root.
type rootPartition struct {
	fsUUID, partUUID string
	ofType           int  // partitions with the type of roots
	typed            bool // this one has it
}

// named says by what the kernel arguments find the root.
func (p *rootPartition) named(options string) (string, error) {
	root, ok := kcmdline.Parse(options).Last("root")
	switch value := strings.ToLower(root); {
	case !ok && p.typed && p.ofType == 1:
		return "found by the type of its partition", nil
	case !ok:
		return "", fmt.Errorf("there is no root= in the boot entry, and %s with the type of a root", count(p.ofType, "partition"))
	case value == "uuid="+p.fsUUID, value == "partuuid="+p.partUUID:
		return "found by root=" + root, nil
	case strings.HasPrefix(value, "uuid="), strings.HasPrefix(value, "partuuid="):
		return "", fmt.Errorf("the boot entry has root=%s, which is another one", root)
	}
	return "by root=" + root + ", which is not looked at", nil
}
