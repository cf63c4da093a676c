package health

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// How long to wait for what is left of a check that has ended: the output of processes that
// it left behind, and the end of one that was killed, which a broken disk can delay for ever.
const (
	outputTime = time.Second
	killTime   = 5 * time.Second
)

// run runs the check, for as long as limit. It calls line for each line of its output, and
// returns nil if the check finds the boot good.
func (c check) run(limit time.Duration, line func(string)) *deployment.FailedCheck {
	failed := &deployment.FailedCheck{Path: c.path}
	p, output, err := c.start()
	if err != nil {
		failed.Result, failed.Output = deployment.UnstartedCheck, reason(err)
		return failed
	}
	read := make(chan string, 1)
	go func() { read <- readLines(output, line) }()
	state, inTime := waitFor(p, limit)
	// Nothing that the check started goes on in its name; the group has its number.
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
	_ = output.SetReadDeadline(time.Now().Add(outputTime))
	last := <-read
	output.Close()
	if inTime && state.Success() {
		return nil
	}
	failed.Output = last
	status, _ := sysStatus(state)
	switch {
	case !inTime:
		failed.Result = deployment.TimedOutCheck
	case status.Signaled():
		failed.Result, failed.Status = deployment.KilledCheck, strconv.Itoa(int(status.Signal()))
	default:
		failed.Result, failed.Status = deployment.ExitedCheck, strconv.Itoa(state.ExitCode())
	}
	return failed
}

func sysStatus(state *os.ProcessState) (syscall.WaitStatus, bool) {
	if state == nil {
		return 0, false
	}
	status, ok := state.Sys().(syscall.WaitStatus)
	return status, ok
}

// start starts the check in a process group of its own, and returns where its output comes.
func (c check) start() (*os.Process, *os.File, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer w.Close()
	p, err := os.StartProcess(c.path, []string{c.path}, &os.ProcAttr{
		Dir: "/", Files: []*os.File{null, w, w}, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	return p, r, nil
}

// waitFor waits for a process, and kills its group if it does not end in time. The state is
// nil if it does not end even then.
func waitFor(p *os.Process, limit time.Duration) (state *os.ProcessState, inTime bool) {
	ended := make(chan *os.ProcessState, 1)
	go func() {
		state, _ := p.Wait()
		ended <- state
	}()
	select {
	case state := <-ended:
		return state, true
	case <-time.After(limit):
	}
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
	select {
	case state = <-ended:
	case <-time.After(killTime):
	}
	return state, false
}

// maxLine bounds a line of output, in bytes: a longer one is several.
const maxLine = 2000

// readLines calls line for each line that r has, and returns the last one that is not empty.
// What is no text is replaced.
func readLines(r io.Reader, line func(string)) (last string) {
	buffered := bufio.NewReaderSize(r, maxLine)
	for {
		data, err := buffered.ReadSlice('\n')
		text := strings.TrimRight(strings.ToValidUTF8(string(data), "\uFFFD"), " \t\r\n")
		if text != "" {
			line(text)
			last = text
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			_, last = priorityOf(last)
			return last
		}
	}
}

// priorityOf takes the priority off a line, as in sd-daemon(3): scripts that greenboot ran
// have it.
func priorityOf(line string) (priority int, text string) {
	if len(line) > 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>' {
		return int(line[1] - '0'), line[3:]
	}
	return info, line
}

// reason returns what the kernel says of a file that it does not start.
func reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		if errno == syscall.ENOEXEC {
			return "neither a program nor a script that begins with #!"
		}
		return errno.Error()
	}
	return err.Error()
}
