package prepareroot

import (
	"path"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
)

// Where a plan puts the file systems that it makes before they have a place.
// Apply takes the names for the mounts: it makes the directory only where the
// kernel cannot do without.
const (
	buildDir  = "/run/sysupdate-image"
	imageDir  = buildDir + "/image"  // the EROFS image: names and metadata
	filesDir  = buildDir + "/files"  // the image with the content of its files
	rootDir   = buildDir + "/root"   // the new root
	memoryDir = buildDir + "/memory" // and a suffix: a tmpfs for each transient directory
	varDir    = buildDir + "/var"    // the partition that /var is on
)

// Options that are not the file system's.
const (
	optReadOnly = "ro"
	optBind     = "bind"
	optMove     = "move"

	// What mount(8) takes for a comment. They tell whether the image's fs-verity
	// digest has to be the one in its name.
	optVerityRequired = "x-verity=require"
	optVerityOptional = "x-verity=optional"
)

// sysrootFlags are those of the mount at /sysroot, where files of all deployments and
// containers can be seen: nothing there may be changed, opened as a device, or run. /etc
// and /var come from another mount of the file system.
var sysrootFlags = []string{optReadOnly, "nosuid", "nodev", "noexec"}

// plainUpper are the options of an overlay whose upper directory other programs
// read, with other lower directories or none: they leave nothing in it that only
// has a meaning above the same image. See overlayfs in the kernel's
// Documentation/filesystems; a distribution may have built its kernel with other
// defaults.
var plainUpper = []string{"metacopy=off", "redirect_dir=off", "index=off"}

// Input is what a plan depends on.
type Input struct {
	Sysroot string // where the physical root is mounted, such as /sysroot
	Where   string // where the new root is to be

	Target  deployment.Target // what to boot
	Cmdline kcmdline.Cmdline
	Config  rootconfig.Config

	// EtcIsCopy says that the directory of the deployment's /etc holds a full
	// copy of it, as bootc makes it, and no upper directory.
	EtcIsCopy bool

	// Var is the partition that /var is on, nil if it is on the physical root.
	Var *deployment.VarPartition
}

// Plan returns the mounts that turn the physical root into the root of the
// image. It touches nothing.
func Plan(in Input) mountplan.Plan {
	id := string(in.Target.ID)
	repository := path.Join(in.Sysroot, deployment.RepositoryDir)
	verity, files := optVerityRequired, rootDir
	if in.Target.VerityOptional {
		verity = optVerityOptional
	}
	if in.Config.RootTransient {
		files = filesDir
	}
	p := append(in.varMount(), mountplan.Plan{
		{What: repository + "/images/" + id, Where: imageDir, Type: "erofs", Options: []string{optReadOnly, verity}},
		in.filesMount(repository, files),
	}...)
	if in.Config.RootTransient {
		p = append(p, transient("root", "transient:composefs="+id, files, rootDir)...)
	}
	p = append(p, mountplan.Mount{
		What: in.Sysroot, Where: rootDir + deployment.SysrootDir, Options: append([]string{optBind}, sysrootFlags...),
	})
	p = append(p, in.varAgain()...)
	etc := path.Join(in.Sysroot, in.Target.ID.EtcDir())
	upper, work := path.Join(in.Sysroot, in.Target.ID.EtcUpper()), path.Join(in.Sysroot, in.Target.ID.EtcWork())
	p = append(p, directory("etc", in.etcMode(), files, etc, upper, work)...)
	shared := in.inVar(deployment.SharedVar)
	p = append(p, directory("var", in.varMode(), files, shared, shared, in.varWork())...)
	return append(p, mountplan.Mount{What: rootDir, Where: in.Where, Options: []string{optMove}})
}

// filesMount joins the image with the objects that hold the content of its
// files. A running system knows by the mount's source what was booted.
func (in Input) filesMount(repository, where string) mountplan.Mount {
	options := []string{
		optReadOnly, "metacopy=on", "redirect_dir=on",
		"lowerdir+=" + imageDir, "datadir+=" + repository + "/objects",
	}
	if !in.Target.VerityOptional {
		options = slices.Insert(options, 1, "verity=require")
	}
	return mountplan.Mount{What: in.Target.ID.MountSource(), Where: where, Type: "overlay", Options: options}
}

// directory returns the mounts of /etc or /var. Its lower directory is always
// the image's, never that of a transient root: the kernel stacks two overlays
// and no more.
func directory(name string, mode rootconfig.Mode, files, bind, upper, work string) mountplan.Plan {
	where := rootDir + "/" + name
	switch mode {
	case rootconfig.Bind:
		return mountplan.Plan{{What: bind, Where: where, Options: []string{optBind}}}
	case rootconfig.Overlay:
		options := append([]string{
			"lowerdir+=" + files + "/" + name,
			"upperdir=" + upper,
			"workdir=" + work,
		}, plainUpper...)
		return mountplan.Plan{{What: "overlay", Where: where, Type: "overlay", Options: options}}
	case rootconfig.Transient:
		return transient(name, "transient", files+"/"+name, where)
	}
	return nil
}

// transient returns an overlay that keeps what differs from lower in memory.
func transient(name, what, lower, where string) mountplan.Plan {
	memory := memoryDir + "-" + name
	return mountplan.Plan{
		{What: "tmpfs", Where: memory, Type: "tmpfs", Options: []string{"mode=0755"}},
		{What: what, Where: where, Type: "overlay", Options: []string{
			"lowerdir+=" + lower, "upperdir=" + memory + "/upper", "workdir=" + memory + "/work",
		}},
	}
}

// etcMode returns the mode of /etc. What nobody has chosen is an overlay, but
// where bootc has kept a copy of /etc, that is what holds the local changes.
func (in Input) etcMode() rootconfig.Mode {
	switch {
	case in.Config.Etc != "":
		return in.Config.Etc
	case in.EtcIsCopy:
		return rootconfig.Bind
	}
	return rootconfig.Overlay
}

// varMode returns the mode of /var. What nobody has chosen is an overlay, unless
// systemd is to mount something there; see systemd.volatile= in
// kernel-command-line(7).
func (in Input) varMode() rootconfig.Mode {
	if in.Config.Var != "" {
		return in.Config.Var
	}
	if volatile, _ := in.Cmdline.Last("systemd.volatile"); volatile == "state" || volatile == "overlay" {
		return rootconfig.None
	}
	return rootconfig.Overlay
}
