package install

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
)

// An FstabError warns of a line of a kept fstab(5) that keeps the new system from coming up.
type FstabError struct{ What, Where string }

func (e *FstabError) Error() string {
	return fmt.Sprintf("the line of /etc/fstab that mounts %s at %s keeps the new system from coming up: "+
		"the image has no directory there; add nofail to its options, or remove it", e.What, e.Where)
}

// warnOfFstab warns of lines of the fstab that is taken over, if it is.
func (p *ExistingPlan) warnOfFstab(root *os.Root, warn func(error)) {
	kept := slices.ContainsFunc(p.keep, func(pattern string) bool {
		ok, err := path.Match(pattern, "fstab")
		return err == nil && ok
	})
	text, err := bounded.ReadRoot(root, "etc/fstab", limits.Text)
	if !kept || err != nil {
		return
	}
	for _, m := range mountplan.ParseFstab(string(text)) {
		if isNeeded(m) && !p.About.hasDirectory(m.Where) {
			warn(&FstabError{m.What, m.Where})
		}
	}
}

// optionalMounts are the options with which a system comes up without a mount: remote-fs.target, which
// waits for what needs the network, may fail; see systemd.mount(5).
var optionalMounts = []string{"nofail", "noauto", "_netdev"}

// networkTypes are file systems that have _netdev by their type, also behind "fuse.".
var networkTypes = []string{
	"afs", "ceph", "cifs", "davfs", "gfs", "gfs2", "glusterfs", "lustre", "ncp", "ncpfs", "nfs", "nfs4", "ocfs2", "pvfs2", "smb3", "smbfs", "sshfs",
}

// isNeeded reports whether a system does not come up if a mount fails. What is mounted with the
// root, sysupdate-image-generator(8) takes care of.
func isNeeded(m mountplan.Mount) bool {
	optional := slices.ContainsFunc(m.Options, func(o string) bool { return slices.Contains(optionalMounts, o) }) ||
		slices.Contains(networkTypes, strings.TrimPrefix(m.Type, "fuse."))
	return path.IsAbs(m.Where) && !optional && !slices.Contains([]string{"/", "/etc", "/usr", "/var"}, path.Clean(m.Where))
}

// hasDirectory reports whether something can be mounted at a directory of the image. Where the
// system can write or the kernel mounts something, it is made; nothing is known of an image whose
// layers were not read.
func (img Image) hasDirectory(where string) bool {
	if img.root == nil {
		return true
	}
	where = path.Clean(where)
	for _, dir := range []string{"/etc/", "/var/", "/run/", "/tmp/", "/dev/", "/proc/", "/sys/"} {
		if strings.HasPrefix(where, dir) {
			return true
		}
	}
	n := img.root.Lookup(where)
	return n != nil && n.IsDir()
}
