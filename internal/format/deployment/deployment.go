// Package deployment has the names and places of a deployment: on the kernel command line,
// in mount tables, in state directories, and in its records, of which other programs read
// two, the origin and the staged record.
package deployment

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

// Where things are, relative to the physical root, which a running system has
// at /sysroot. The first three and RunStaged are shared with bootc.
const (
	RepositoryDir = "composefs"
	DeployDir     = "state/deploy"
	SharedVar     = VarParent + "/var"

	// VarParent has what belongs to /var. It is the mount point of a VarPartition.
	VarParent = "state/os/default"

	// VarWork is the work directory of the overlay at /var. After a soft reboot to another
	// root it has a suffix.
	VarWork = VarParent + "/.var-work"

	// VarTarget is where ID.Var leads, as bootc has it: to SharedVar, and never
	// above state/, where bootc's initramfs has the new root by then.
	VarTarget = "../../os/default/var"

	StateDir     = "state/sysupdate-image" // ours alone
	LockFile     = StateDir + "/lock"      // only root can open it, and so lock it
	StagedRecord = StateDir + "/staged.json"
	// KernelsRecord has the paths of the kernels that were written to the boot partition,
	// a line each.
	KernelsRecord = StateDir + "/kernels"
	// EntriesRecord has the names of the boot entries that were written there, without tries
	// and suffix, a line each.
	EntriesRecord = StateDir + "/entries"
	// ProtectRecord is there until fs-verity has been enabled, which the installer could not do.
	ProtectRecord = StateDir + "/protect"

	// StateRoot holds the state of all deployments. A reset keeps the state before it, or after
	// a rollback the fresh one, in OtherState. Until the reset is confirmed, the record is in the
	// state that counts.
	StateRoot   = "state"
	OtherDir    = "reset"
	OtherState  = OtherDir + "/" + StateRoot
	ResetRecord = StateDir + "/reset"

	// ProtectService enables fs-verity at boot if there is a ProtectRecord.
	ProtectService = "sysupdate-image-protect.service"

	// RunStaged is relative to the root of the running system.
	RunStaged = "run/composefs/staged-deployment"
)

// RunBlessed returns the file, relative to the root of the running system, that exists once a
// boot of the deployment on trial has proved itself. What a soft reboot continues with has
// still to do so.
func (id ID) RunBlessed() string { return "run/sysupdate-image/blessed-" + id.Short() }

// SysrootDir is where a running system has the physical root.
const SysrootDir = "/sysroot"

// An ID names a deployment: the fs-verity digest of its composefs image in
// lower-case hexadecimal, 64 characters for SHA-256 and 128 for SHA-512.
type ID string

// ParseID returns the ID that s spells, or an error if s is not one.
func ParseID(s string) (ID, error) {
	d, err := digest.Parse(s)
	if err != nil {
		return "", fmt.Errorf("cannot read deployment id: %w", err)
	}
	return ID(d.String()), nil
}

// Digest returns the fs-verity digest. An id that ParseID returned has one; for others
// there may be an error.
func (id ID) Digest() (digest.Digest, error) { return digest.Parse(string(id)) }

// Short returns the first 12 characters, which suffice for people.
func (id ID) Short() string { return string(id[:min(len(id), 12)]) }

// ImageFile returns the link to the deployment's image, relative to the physical root.
func (id ID) ImageFile() string { return path.Join(RepositoryDir, "images", string(id)) }

// Dir returns the deployment's state directory, relative to the physical root.
func (id ID) Dir() string { return path.Join(DeployDir, string(id)) }

// EtcDir returns the directory of the deployment's /etc: with a bind mount it is
// /etc itself, with an overlay it holds EtcUpper and EtcWork.
func (id ID) EtcDir() string { return id.Dir() + "/etc" }

// EtcUpper returns the upper directory of the overlay at /etc.
func (id ID) EtcUpper() string { return id.EtcDir() + "/upper" }

// EtcWork returns the work directory of the overlay at /etc.
func (id ID) EtcWork() string { return id.EtcDir() + "/work" }

// Var returns the symbolic link to SharedVar that bootc expects.
func (id ID) Var() string { return id.Dir() + "/var" }

// OriginFile returns the file that tells where the deployment came from.
func (id ID) OriginFile() string { return id.Dir() + "/" + string(id) + ".origin" }

// ErrNoDeployment says that a kernel command line names no deployment.
var ErrNoDeployment = errors.New("no composefs= on the kernel command line")

// A Target is what a kernel command line asks to boot.
type Target struct {
	ID             ID
	VerityOptional bool // written as '?': boot even where fs-verity is missing
}

// FromCmdline returns the first of Candidates.
func FromCmdline(c kcmdline.Cmdline) (Target, error) {
	all, err := Candidates(c)
	if err != nil {
		return Target{}, err
	}
	return all[0], nil
}

// Candidates returns the deployments that a kernel command line names by
// composefs=[?]ID or composefs.digest=[?]FORMAT-ALGORITHM:ID, where FORMAT is v1 or
// v2 and ALGORITHM that of a repository, such as v1-fsverity-sha512-12. They are in
// the order of the command line, and the first whose image exists is meant: a command
// line names several when it was made before it was known which format the machine
// has.
//
// None is weaker than one before it: after an argument that demands verification,
// those that make it optional do not count (see Skipped). So what is appended to
// the signed command line of a unified kernel image never replaces the image that it
// was signed for by an unverified one. An algorithm that is not known names no
// deployment, but its demand counts.
//
// There is at least one candidate if the error is nil. The error is ErrNoDeployment if
// neither argument is there.
func Candidates(c kcmdline.Cmdline) ([]Target, error) {
	named, err := readCmdline(c)
	return named.targets, err
}

// Skipped returns the arguments that Candidates skips because they are weaker than one
// before them.
func Skipped(c kcmdline.Cmdline) []string {
	named, _ := readCmdline(c)
	return named.weaker
}

// named is what the arguments of a command line name.
type named struct {
	targets []Target
	weaker  []string // arguments that do not count
	strict  string   // the first argument that demands verification
	unknown string   // the last one whose format or algorithm is not known
}

func readCmdline(c kcmdline.Cmdline) (named, error) {
	var n named
	for _, a := range c.Select(kargID, kargDigest) {
		if err := n.add(a); err != nil {
			return named{}, fmt.Errorf("%s on the kernel command line: %w", a, err)
		}
	}
	switch {
	case len(n.targets) > 0:
		return n, nil
	case n.unknown != "" && len(n.weaker) == 0:
		return n, fmt.Errorf("%s on the kernel command line: unknown format or algorithm", n.unknown)
	case n.strict != "":
		return n, fmt.Errorf("%s on the kernel command line: unknown format or algorithm, and %s is weaker", n.strict, n.weaker[0])
	}
	return n, ErrNoDeployment
}

// The arguments that name a deployment.
const (
	kargID     = "composefs"
	kargDigest = "composefs.digest"
)

func (n *named) add(a kcmdline.Arg) error {
	t, known, err := Target{}, true, error(nil)
	if kcmdline.SameKey(a.Key, kargID) {
		t, err = parseTarget(a.Value)
	} else {
		t, known, err = parseDigestArg(a.Value)
	}
	switch {
	case err != nil:
		return err
	case t.VerityOptional && n.strict != "":
		n.weaker = append(n.weaker, a.String())
		return nil
	case !t.VerityOptional && n.strict == "":
		n.strict = a.String()
	}
	if known {
		n.targets = append(n.targets, t)
	} else {
		n.unknown = a.String()
	}
	return nil
}

// Karg returns the kernel argument that asks for the target.
func (t Target) Karg() string { return kargID + "=" + t.String() }

// In returns a kernel command line with the target in place of all that it names.
func (t Target) In(c kcmdline.Cmdline) kcmdline.Cmdline {
	return c.Without(kargDigest).With(kargID, t.String())
}

// WithoutTarget returns a kernel command line without the arguments that name deployments.
func WithoutTarget(c kcmdline.Cmdline) kcmdline.Cmdline {
	return c.Without(kargDigest).Without(kargID)
}

// String returns the target as the value of composefs=.
func (t Target) String() string {
	if t.VerityOptional {
		return "?" + string(t.ID)
	}
	return string(t.ID)
}

func parseTarget(value string) (Target, error) {
	hex, optional := strings.CutPrefix(value, "?")
	id, err := ParseID(hex)
	if err != nil {
		return Target{}, err
	}
	return Target{ID: id, VerityOptional: optional}, nil
}

// parseDigestArg reads "[?]v1-fsverity-sha512-12:ID". ok is false for a format
// or algorithm that is not known, whatever follows it; then t only tells whether
// verification is optional.
func parseDigestArg(value string) (t Target, ok bool, err error) {
	rest, optional := strings.CutPrefix(value, "?")
	kind, hex, found := strings.Cut(rest, ":")
	if !found {
		return Target{}, false, errors.New("want FORMAT-ALGORITHM:DIGEST")
	}
	format, algorithm, _ := strings.Cut(kind, "-")
	if format != "v1" && format != "v2" {
		return Target{VerityOptional: optional}, false, nil
	}
	for _, a := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		if algorithm != a.Name() {
			continue
		}
		id, err := ParseID(hex)
		if err != nil {
			return Target{}, false, err
		}
		if len(id) != 2*a.Size() {
			return Target{}, false, fmt.Errorf("digest has %d characters: want %d", len(id), 2*a.Size())
		}
		return Target{ID: id, VerityOptional: optional}, true, nil
	}
	return Target{VerityOptional: optional}, false, nil
}

// FromMountSource returns the deployment whose root file system has the given
// mount source: "composefs:ID", or "transient:composefs=ID" where / is a tmpfs
// over it. ok is false for a root that is no deployment's.
func FromMountSource(source string) (id ID, ok bool) {
	hex, ok := strings.CutPrefix(source, "composefs:")
	if !ok {
		hex, ok = strings.CutPrefix(source, "transient:composefs=")
	}
	if !ok {
		return "", false
	}
	id, err := ParseID(hex)
	return id, err == nil
}

// MountSource returns the source under which the deployment's root is mounted.
func (id ID) MountSource() string { return "composefs:" + string(id) }
