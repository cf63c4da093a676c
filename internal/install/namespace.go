package install

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
)

// ErrOwner says that files cannot get their owner in a user namespace.
var ErrOwner = errors.New("the image has files that root does not own")

// NeedsNamespace reports whether files of root can only be made in a user namespace.
func NeedsNamespace() bool { return os.Geteuid() != 0 }

// InNamespace starts this program again, with its arguments, as root of a user namespace of
// its own: see user_namespaces(7). It only returns if it fails.
func InNamespace() error {
	unshare, err := tools.Find("unshare")
	if err != nil {
		return fmt.Errorf("a user other than root needs a user namespace: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	environment := append(os.Environ(), ownNamespace+"=1")
	args := []string{"unshare", "--user", "--map-root-user", "--mount"}
	if mapsMore() {
		args = append(args, "--map-auto")
	}
	args = append(append(args, "--", self), os.Args[1:]...)
	return fmt.Errorf("cannot start %s: %w", unshare, syscall.Exec(unshare, args, environment))
}

// mapsMore reports whether the user may have other users in the namespace than root.
func mapsMore() bool {
	me, err := user.Current()
	return err == nil && tools.Have("newuidmap") && hasLine("/etc/subuid", me) && hasLine("/etc/subgid", me)
}

// hasLine reports whether a file like subuid(5) has a line for a user.
func hasLine(name string, me *user.User) bool {
	text, err := bounded.ReadPath(name, limits.Accounts)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if who, _, ok := strings.Cut(line, ":"); ok && (who == me.Username || who == me.Uid) {
			return true
		}
	}
	return false
}

// ownNamespace is the variable that InNamespace sets.
const ownNamespace = "SYSUPDATE_IMAGE_OWN_NAMESPACE"

// IsInNamespace reports whether InNamespace has started this program, so that its root is the
// user who called it.
func IsInNamespace() bool {
	if os.Getenv(ownNamespace) == "" {
		return false
	}
	m := uidMap()
	return len(m) > 0 && m[0][0] == "0" && m[0][1] != "0"
}

// isAlone reports whether root is the only user of this user namespace.
func isAlone() bool {
	m := uidMap()
	return len(m) == 1 && m[0][2] == "1"
}

// uidMap returns the lines of /proc/self/uid_map, each with three numbers: a user, who that
// is outside, and how many follow it.
func uidMap() (m [][3]string) {
	text, err := bounded.ReadPath("/proc/self/uid_map", limits.Kernel)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 {
			m = append(m, [3]string(f))
		}
	}
	return m
}
