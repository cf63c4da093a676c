package generators

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/format/unitfile"
)

// copyUpService is a template, with the directory as its instance.
const copyUpService = "sysupdate-image-var@"

// passthrough are the directories that cannot be on an overlay, mostly because
// they hold lower and upper directories of other overlays, and the programs that
// use them.
var passthrough = []struct {
	dir   string
	users []string
}{
	{"/var/lib/containers", []string{"usr/bin/podman", "usr/bin/buildah", "usr/bin/crio", "usr/sbin/crio"}},
	{"/var/lib/containerd", []string{"usr/bin/containerd", "usr/sbin/containerd"}},
	{"/var/lib/docker", []string{"usr/bin/dockerd", "usr/sbin/dockerd"}},
	{"/var/lib/kubelet", []string{"usr/bin/kubelet"}},
	{"/var/lib/libvirt", []string{"usr/sbin/libvirtd", "usr/bin/libvirtd", "usr/sbin/virtqemud", "usr/bin/virtqemud"}},
	{"/var/lib/machines", []string{"usr/bin/systemd-nspawn"}},
}

// varUnits returns a mount unit for each directory of passthrough that is there
// or will be used, and the service that readies one, if /var is an overlay
// whose upper directory is the shared /var. With another kind of /var the
// directories are on a real file system, or nobody wants them to last.
func varUnits(in Input, _ deployment.ID) ([]unitfile.Unit, error) {
	v, ok := mountplan.At(in.Mounts, "/var")
	if _, hasUpper := v.Option("upperdir"); !ok || v.Type != "overlay" || !hasUpper || v.What == "transient" {
		return nil, nil
	}
	configured, err := in.configured()
	if err != nil {
		return nil, err
	}
	var dirs []string
	var errs []error // one directory does not keep the others from their units
	for _, p := range passthrough {
		wanted, err := in.existsAny(append([]string{p.dir}, p.users...))
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot tell whether %s is passed through: %w", p.dir, err))
		}
		if wanted && !in.isElsewhere(p.dir, configured) {
			dirs = append(dirs, p.dir)
		}
	}
	if len(dirs) == 0 {
		return nil, errors.Join(errs...)
	}
	units := []unitfile.Unit{copyUpUnit()}
	for _, dir := range dirs {
		units = append(units, passthroughUnit(dir))
	}
	return units, errors.Join(errs...)
}

// isElsewhere reports whether a directory is not on the overlay at /var: it or a parent is
// or will be a mount point, such as of a partition, or is a link that the administrator has
// made to move it.
func (in Input) isElsewhere(dir string, configured func(where string) bool) bool {
	for ; dir != "/var"; dir = path.Dir(dir) {
		_, mounted := mountplan.At(in.Mounts, dir)
		info, err := fs.Lstat(in.Root, strings.TrimPrefix(dir, "/"))
		if mounted || configured(dir) || err == nil && info.Mode().Type() == fs.ModeSymlink {
			return true
		}
	}
	return false
}

// copyUpUnit returns the service that creates a directory in the upper directory, with the
// image's files. Each mount requires a service of its own, so a failure in one does not
// affect the others.
func copyUpUnit() unitfile.Unit {
	return unitfile.Unit{Name: copyUpService + ".service", Options: []unitfile.Option{
		unitfile.Set("Unit", "Description", "Prepare %f to Be Passed Through"),
		unitfile.Set("Unit", "Documentation", "man:sysupdate-image-generator(8)"),
		unitfile.Set("Unit", "DefaultDependencies", "no"), // mounts wait for it
		unitfile.Set("Unit", "RequiresMountsFor", "/var "+deployment.SysrootDir),
		unitfile.Set("Unit", "Conflicts", "shutdown.target"),
		unitfile.Set("Unit", "Before", "shutdown.target"),
		unitfile.Set("Service", "Type", "oneshot"),
		unitfile.Set("Service", "RemainAfterExit", "yes"),
		unitfile.Set("Service", "ExecStart", "/usr/lib/sysupdate-image/finalize copy-up %f"),
	}}
}

// passthroughUnit returns the unit that mounts the upper directory's dir over
// the overlay's.
func passthroughUnit(dir string) unitfile.Unit {
	what := path.Join(deployment.SysrootDir, deployment.SharedVar, strings.TrimPrefix(dir, "/var/"))
	escaped := unitfile.PathEscape(dir)
	name, service := escaped+".mount", copyUpService+escaped+".service"
	return unitfile.Unit{
		Name: name,
		Options: []unitfile.Option{
			unitfile.Set("Unit", "Description", "Passed Through "+dir),
			unitfile.Set("Unit", "Documentation", "man:sysupdate-image-generator(8)"),
			unitfile.Set("Unit", "Requires", service),
			unitfile.Set("Unit", "After", service),
			// What is on a local file system is there for all services.
			unitfile.Set("Unit", "Before", "local-fs.target"),
			unitfile.Set("Mount", "What", unitfile.Literal(what)),
			unitfile.Set("Mount", "Where", unitfile.Literal(dir)),
			unitfile.Set("Mount", "Type", "none"),
			// /sysroot is mounted otherwise. "rw" alone does not undo that
			// before util-linux 2.39, which only remounts for flags.
			unitfile.Set("Mount", "Options", "bind,rw,suid,dev,exec,relatime"),
		},
		// Not "requires": a full disk must not keep the machine from booting.
		Links: []string{"local-fs.target.wants/" + name},
	}
}

func (in Input) existsAny(names []string) (bool, error) {
	for _, name := range names {
		if found, err := in.exists(name); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

func (in Input) exists(name string) (bool, error) {
	_, err := fs.Stat(in.Root, strings.TrimPrefix(name, "/"))
	return bounded.Found(err)
}
