package prepareroot

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/mountplan"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/partdev"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// runningRoot is the root of the system that runs the program.
const runningRoot = "/"

// prepareNextRoot mounts the root of the deployment that a soft reboot was asked to continue
// with where systemd looks for it.
func (s settings) prepareNextRoot(root fs.FS, stdout, stderr io.Writer) error {
	request, err := records.LoadSoftReboot(root)
	if err != nil {
		return fmt.Errorf("cannot tell what the soft reboot continues with: %w", err)
	}
	config, err := rootconfig.Parse(request.Config)
	if err != nil {
		return err
	}
	cmdline, err := s.kernelCmdline(root)
	if err != nil {
		return err
	}
	s.given, s.sysroot, s.target = &config, deployment.SysrootDir, "/"+deployment.NextRootDir
	cmdline = request.Target.In(cmdline)
	if s.dryRun {
		return s.prepare(root, cmdline, stdout, stderr)
	}
	running, err := os.OpenRoot(runningRoot)
	if err != nil {
		return err
	}
	defer running.Close()
	if err := makeNextRootDir(running); err != nil {
		return err
	}
	if err := s.prepare(root, cmdline, stdout, stderr); err != nil {
		return err
	}
	return records.DropSoftReboot(running)
}

// makeNextRootDir makes the directory where systemd looks for another root. One that is
// mounted there already is somebody else's wish, and stays.
func makeNextRootDir(running *os.Root) error {
	mounts, err := partdev.Mounts()
	if err != nil {
		return err
	}
	if _, mounted := mountplan.At(mounts, "/"+deployment.NextRootDir); mounted {
		return fmt.Errorf("another root is mounted at /%s", deployment.NextRootDir)
	}
	return running.MkdirAll(deployment.NextRootDir, 0o755)
}
