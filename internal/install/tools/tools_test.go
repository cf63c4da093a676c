package tools

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestProgram is the program that TestKilled kills, which has started another one.
func TestProgram(t *testing.T) {
	if os.Getenv("TOOLS_TEST_PROGRAM") == "" {
		t.Skip("this is started by TestKilled")
	}
	err := Command{Name: "sh", Args: []string{"-c", "echo $$ >&3; exec sleep 600"}, Keep: []*os.File{os.NewFile(3, "pipe")}}.Run(t.Context())
	t.Error("the program ended: ", err)
}

// A program does not outlive this one, even if that is killed: it would write to what may be
// somebody else's loop device by then.
func TestKilled(t *testing.T) {
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestProgram$")
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), "TOOLS_TEST_PROGRAM=1"), []*os.File{to}
	if err := errors.Join(cmd.Start(), to.Close()); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(from).ReadString('\n')
	pid, err2 := strconv.Atoi(strings.TrimSpace(line))
	if err := errors.Join(err, err2, cmd.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for end := time.Now().Add(30 * time.Second); alive(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Error("the program is still running, errors of its end: ", syscall.Kill(pid, syscall.SIGKILL))
			return
		}
	}
}

// alive reports whether a process runs: one that nobody waits for may stay as a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
