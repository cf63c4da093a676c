// Package guest hides how the agent in a test machine runs the scripts that the
// test sends: several at once, killed with all they started.
package guest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm/wire"
)

// Serve says hello for the boot with the given id and then runs what comes over
// port. It returns when port can no longer be read.
func Serve(port io.ReadWriter, bootID string) error {
	a := &agent{out: port, running: make(map[uint64]int)}
	// The line that the boot before this one was writing ends here.
	if _, err := io.WriteString(port, "\n"); err != nil {
		return err
	}
	if err := wire.Write(port, wire.Message{Hello: &wire.Hello{BootID: bootID}}); err != nil {
		return err
	}
	return a.serve(port)
}

// An agent runs scripts, several at once.
type agent struct {
	mu      sync.Mutex
	out     io.Writer
	running map[uint64]int // process groups, by request
}

func (a *agent) serve(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		var req wire.Request
		if json.Unmarshal(line, &req) != nil {
			continue // the rest of a request to the boot before this one
		}
		if req.Kill {
			a.kill(req.ID)
			continue
		}
		go a.execute(req)
	}
}

func (a *agent) execute(req wire.Request) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("/bin/sh", "-c", req.Script)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb"}
	cmd.Stdin = bytes.NewReader(req.Stdin)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// What the script left in the background may keep its output open.
	cmd.WaitDelay = 2 * time.Second

	resp := &wire.Response{ID: req.ID}
	if err := a.start(req.ID, cmd); err != nil {
		resp.Error = err.Error()
	} else {
		resp.Exit, resp.Error = exitStatus(cmd.Wait())
		resp.Stdout, resp.Stderr = stdout.Bytes(), stderr.Bytes()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.running, req.ID)
	if err := wire.Write(a.out, wire.Message{Response: resp}); err != nil {
		fmt.Fprintln(os.Stderr, "agent: write response:", err)
	}
}

func (a *agent) start(id uint64, cmd *exec.Cmd) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	a.running[id] = cmd.Process.Pid
	return nil
}

func (a *agent) kill(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if group, ok := a.running[id]; ok {
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
}

// exitStatus turns what Wait returned into a shell's exit status.
func exitStatus(err error) (status int, problem string) {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0, ""
	case !errors.As(err, &exit):
		return 0, err.Error()
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), ""
	}
	return exit.ExitCode(), ""
}
