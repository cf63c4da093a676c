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
var ErrOwner = errors.New("the image has files of other owners than root")

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
	args := []string{"unshare", "--user", "--map-root-user", "--mount"}
	if mapsMore() {
		args = append(args, "--map-auto")
	}
	args = append(append(args, "--", self), os.Args[1:]...)
	return fmt.Errorf("cannot start %s: %w", unshare, syscall.Exec(unshare, args, os.Environ()))
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

// isAlone reports whether root is the only user of this user namespace.
func isAlone() bool {
	text, err := bounded.ReadPath("/proc/self/uid_map", limits.Kernel)
	fields := strings.Fields(string(text))
	return err == nil && len(fields) == 3 && fields[2] == "1"
}
