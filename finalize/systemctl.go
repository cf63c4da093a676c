package finalize

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/journal"
)

// systemctl asks systemd by its own program, which needs neither D-Bus nor
// anything else to have started. What it cannot tell is told to the log.
type systemctl struct{ Machine }

// answerTime is how long systemd, which may be busy, may take for an answer.
const answerTime = 10 * time.Second

func (s systemctl) run(args ...string) string {
	out, err := systemctlOutput(append([]string{"--no-pager", "--no-legend", "--plain"}, args...)...)
	if err != nil {
		s.logf(journal.Warning, "systemctl %s: %v", args[0], err)
	}
	return out
}

// systemctlOutput returns what systemctl prints. What it has to complain about goes
// to the journal with ours. Package os/exec would take 3 % of the program's size.
func systemctlOutput(args ...string) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	p, err := startInPath("systemctl", args, []*os.File{os.Stdin, w, os.Stderr})
	if err = errors.Join(err, w.Close()); err != nil {
		return "", err
	}
	defer time.AfterFunc(answerTime, func() { p.Kill() }).Stop()
	out, err := bounded.ReadAll(r, limits.Kernel)
	state, errWait := p.Wait()
	if err = errors.Join(err, errWait); err == nil && !state.Success() {
		err = errors.New(state.String())
	}
	return string(out), err
}

// startInPath starts a program that is in a directory of $PATH.
func startInPath(name string, args []string, files []*os.File) (p *os.Process, err error) {
	err = fs.ErrNotExist
	for dir := range strings.SplitSeq(os.Getenv("PATH"), ":") {
		p, err = os.StartProcess(dir+"/"+name, append([]string{name}, args...), &os.ProcAttr{Files: files})
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return p, err
}

// wasActive reports whether a unit has been active since the machine was started,
// whether or not it still is.
func (s systemctl) wasActive(unit string) bool {
	since := strings.TrimSpace(s.run("show", "--property=ActiveEnterTimestampMonotonic", "--value", unit))
	return since != "" && since != "0"
}

func (s systemctl) failedUnits() []deployment.FailedUnit {
	var names []string
	for line := range strings.Lines(s.run("list-units", "--failed")) {
		if fields := strings.Fields(line); len(fields) > 0 {
			names = append(names, fields[0])
		}
	}
	if len(names) == 0 {
		return nil
	}
	args := append([]string{"show", "--property=Id,Description,Result,ExecMainStatus"}, names...)
	return parseShow(s.run(args...))
}

// parseShow reads what "systemctl show" prints for several units: lines
// PROPERTY=VALUE, and an empty line between two units.
func parseShow(out string) []deployment.FailedUnit {
	var units []deployment.FailedUnit
	for block := range strings.SplitSeq(out, "\n\n") {
		var u deployment.FailedUnit
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			switch key {
			case "Id":
				u.Name = value
			case "Description":
				u.Description = value
			case "Result":
				u.Result = value
			case "ExecMainStatus":
				u.Status = value
			}
		}
		if u.Name != "" {
			units = append(units, u)
		}
	}
	return units
}

// waiting returns the units that are being started, which is what others wait
// for.
func (s systemctl) waiting() []string {
	var units []string
	for line := range strings.Lines(s.run("list-jobs")) {
		// JOB UNIT TYPE STATE
		fields := strings.Fields(line)
		if len(fields) == 4 && fields[2] == "start" && fields[3] == "running" && fields[1] != bootFailedService {
			units = append(units, fields[1])
		}
	}
	return units
}

// goesOn reports whether the running system may keep running after this shutdown:
// a soft reboot restarts user space on the same root, unless another one was
// prepared, and kexec boots a kernel that was loaded before.
func (m Machine) goesOn() bool {
	if m.root.Name() != runningRoot {
		return false
	}
	systemd := systemctl{m}
	return systemd.hasJob("soft-reboot.target") || systemd.hasJob("kexec.target")
}

// hasJob reports whether a unit is being started or stopped.
func (s systemctl) hasJob(unit string) bool {
	job := strings.TrimSpace(s.run("show", "--property=Job", "--value", unit))
	return job != "" && job != "0"
}

// bootFailedService is the unit that runs BootFailed.
const bootFailedService = "sysupdate-image-boot-failed.service"

// start starts a target such as reboot.target, or nothing if target is "". It asks systemd,
// not logind, which may not be running.
func (s systemctl) start(target string) error {
	if target == "" {
		return nil
	}
	_, err := systemctlOutput("start", "--no-block", "--job-mode=replace-irreversibly", target)
	return err
}
