// Package finalize is what happens when a machine goes down: local changes to
// /etc are carried over to the staged deployment, and its boot entry is
// published. It also has what two units of the running system do to the
// physical root: telling why a boot on trial failed, and readying directories
// of /var. Nothing
// of it needs the network, nor anybody to answer a question.
package finalize

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/sysroot"
)

// A Machine is a running system.
type Machine struct {
	root *os.Root  // of the file system at /
	log  io.Writer // lines with a priority as in sd-daemon(3)
}

// runningRoot is the root of the machine that runs the program.
const runningRoot = "/"

// bootPartition opens the machine's boot partition. A tree that is not that of
// the running machine has it at /sysroot/boot, where apply puts it.
func (m Machine) bootPartition() (*boot.Partition, error) {
	if m.root.Name() == runningRoot {
		return boot.Find(deployment.SysrootDir)
	}
	return boot.OpenDir(m.root.Name() + deployment.SysrootDir + "/boot")
}

// Priorities of messages, see sd-daemon(3).
const (
	logErr     = 3
	logWarning = 4
	logNotice  = 5
	logInfo    = 6
)

func (m Machine) logf(priority int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(m.log, "<%d>%s\n", priority, strings.ReplaceAll(text, "\n", "; "))
}

// bootID returns the kernel's id of this boot as journald writes it.
func (m Machine) bootID() string { return sysroot.BootID(m.root) }
