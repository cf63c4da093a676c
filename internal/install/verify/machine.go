package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/inits"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/internal/repair"
)

// machine looks at the boot entries, at the deployment that boots next, and at the
// repository. Dir is where the physical root can be opened, p what tells how it is found at
// boot; nil if that is not known.
func (r *Report) machine(ctx context.Context, dir string, system *machine.System, p *parts) {
	state := system.State()
	for _, problem := range state.Problems {
		r.add("machine", "", problem)
	}
	next, ok := boot.Next(state.Files)
	if !ok || !next.IsDeployment() {
		r.add("boot entry", "", noEntry(state.Files))
		return
	}
	r.Next, r.Title = next.Target.ID, strings.TrimSpace(next.Entry.Title)
	r.add("boot entry", next.File, entryFault(next.Entry))
	for _, f := range state.Files {
		if f.Err != nil && f.IsDeployment() {
			r.add("boot entry", "", fmt.Errorf("%s: %w", f.File, f.Err))
		}
	}
	r.kernel(ctx, system, next, p)
	r.deployment(system, state, next)
	r.repository(ctx, dir, system, next)
	r.furtherESPs(ctx, system, state)
}

// entryFault says why an entry that is complete in itself would not boot.
func entryFault(e bootentry.Entry) error {
	err := boot.CheckArchitecture(e)
	if e.IsKernel() && len(e.Initrds) == 0 {
		err = errors.Join(err, errors.New("it has no initrd, and without an initramfs nothing mounts the image"))
	}
	return err
}

// kernel looks at the kernel of an entry, and at what its arguments name.
func (r *Report) kernel(ctx context.Context, system *machine.System, next boot.EntryFile, p *parts) {
	text := "its digest is right"
	err := system.Boot.CheckKernel(ctx, next.Entry)
	if errors.Is(err, boot.ErrOtherKernel) {
		text, err = err.Error(), nil
	}
	r.add("kernel", text, err)
	options, err := system.Boot.Cmdline(next.Entry)
	if err != nil {
		r.add("kernel arguments", "", err)
		return
	}
	if p != nil {
		number, text, err := p.find(options)
		if err == nil && number != p.root {
			err = fmt.Errorf("%s, which is partition %d, and not %d", text, number, p.root)
		}
		r.add("root file system", text, err)
	}
	if system.Repository != nil {
		text, err := findInit(system.Repository, next.Target.ID, options)
		r.add("first program", text, err)
	}
}

// findInit returns the program that is started in the root.
func findInit(repository *repo.Repository, id deployment.ID, options string) (string, error) {
	f, err := repository.OpenImage(string(id))
	if err != nil {
		return "", readable(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	root, err := erofs.Read(f, info.Size())
	if err != nil {
		return "", readable(err)
	}
	candidates := inits.Candidates(kcmdline.Parse(options))
	for _, name := range candidates {
		_, n, err := tree.Resolve(root, name, true)
		if err == nil && n != nil && n.IsRegular() && n.Mode&0o111 != 0 {
			return name, nil
		}
	}
	return "", fmt.Errorf("the image has no program %s", strings.Join(candidates, " or "))
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
	dirs := map[string]string{"/var": deployment.SharedVar, "/etc": id.EtcDir()}
	if _, err := fs.Stat(system.Sysroot, deployment.VarPartitionRecord); err == nil {
		delete(dirs, "/var") // it is on a partition of its own
	}
	for of, dir := range dirs {
		if info, err := fs.Stat(system.Sysroot, dir); err != nil {
			errs = append(errs, fmt.Errorf("%s is missing: %w", of, err))
		} else if !info.IsDir() {
			errs = append(errs, fmt.Errorf("%s is no directory: %s", of, dir))
		}
	}
	text := id.Short()
	if origin := state.Origins[id]; origin.Reference == "" {
		r.warn("origin", errors.New("it is missing: the machine boots, and cannot be updated"))
	} else {
		text += ", " + origin.Reference
	}
	r.add("deployment", text, errors.Join(errs...))
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
		result := "optional, and not enabled: nothing is verified at boot"
		if asked, err := records.LoadProtect(system.Sysroot); asked && err == nil {
			result = "not enabled: the first boot enables it, and the next one requires it"
		}
		r.add("fs-verity", result, nil)
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
	report, err := repository.Check(ctx, repair.Options{Watcher: r.watcher})
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
		return fmt.Errorf("this kernel has no fs-verity and cannot read files that it protects: check it on another machine (%w)", err)
	}
	return err
}
