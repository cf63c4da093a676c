// Package systemctl asks systemd by its own programs, which need neither D-Bus nor anything
// else to have started. It hides how they are found and stopped, and what they print.
package systemctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A Manager is systemd as systemctl(1) shows it.
type Manager struct {
	// Warn is told what systemctl could not tell. The answer is empty then.
	Warn func(error)
}

// answerTime is how long systemd, which may be busy, may take for an answer.
const answerTime = 10 * time.Second

func (m Manager) run(args ...string) string {
	out, err := output("systemctl", append([]string{"--no-pager", "--no-legend", "--plain"}, args...)...)
	if err != nil {
		m.Warn(fmt.Errorf("systemctl %s: %w", args[0], err))
	}
	return out
}

// output returns what a program of systemd prints. What it has to complain about goes
// to the journal with ours. Package os/exec would take 3 % of a small program's size.
func output(program string, args ...string) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	p, err := startInPath(program, args, []*os.File{os.Stdin, w, os.Stderr})
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

// WasActive reports whether a unit has been active since user space was started, whether or
// not it still is. A soft reboot keeps the times of units, and older versions of systemd keep
// that of user space too.
func (m Manager) WasActive(unit string) bool {
	since := m.microseconds("ActiveEnterTimestampMonotonic", unit)
	return since > 0 && since >= m.microseconds("UserspaceTimestampMonotonic")
}

// microseconds returns a time of a unit, or of the manager, since the kernel was started; 0 if
// there is none.
func (m Manager) microseconds(property string, unit ...string) uint64 {
	text := m.run(append([]string{"show", "--property=" + property, "--value"}, unit...)...)
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// IsEnabled reports whether a unit is installed and enabled.
func (m Manager) IsEnabled(unit string) bool {
	// A unit that is not is no failure, but systemctl ends as if it were.
	out, _ := output("systemctl", "is-enabled", unit)
	return strings.HasPrefix(out, "enabled")
}

// FailedUnits returns the units that have failed.
func (m Manager) FailedUnits() []deployment.FailedUnit {
	var names []string
	for line := range strings.Lines(m.run("list-units", "--failed")) {
		if fields := strings.Fields(line); len(fields) > 0 {
			names = append(names, fields[0])
		}
	}
	if len(names) == 0 {
		return nil
	}
	args := append([]string{"show", "--property=Id,Description,Result,ExecMainStatus"}, names...)
	return parseShow(m.run(args...))
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

// Waiting returns the units that are being started, which is what others wait for.
func (m Manager) Waiting() []string {
	var units []string
	for line := range strings.Lines(m.run("list-jobs")) {
		// JOB UNIT TYPE STATE
		fields := strings.Fields(line)
		if len(fields) == 4 && fields[2] == "start" && fields[3] == "running" {
			units = append(units, fields[1])
		}
	}
	return units
}

// HasJob reports whether a unit is being started or stopped.
func (m Manager) HasJob(unit string) bool {
	job := strings.TrimSpace(m.run("show", "--property=Job", "--value", unit))
	return job != "" && job != "0"
}

// Start starts a target such as reboot.target, and does not wait for it. It asks systemd,
// not logind, which may not be running.
func (m Manager) Start(target string) error {
	_, err := output("systemctl", "start", "--no-block", "--job-mode=replace-irreversibly", target)
	return err
}

// LastOfJournal returns the last lines of this boot's journal, as journalctl(1) shows them.
// The journal's files are for journalctl alone to read: their format has changed with
// compression and with each new version.
func (m Manager) LastOfJournal(lines int) (string, error) {
	// What was just said may not be in it yet. If it takes too long, it does without.
	if _, err := output("journalctl", "--sync"); err != nil {
		m.Warn(fmt.Errorf("journalctl --sync: %w", err))
	}
	return output("journalctl", "--boot", "--lines="+strconv.Itoa(lines), "--output=short-monotonic", "--no-pager", "--quiet")
}
