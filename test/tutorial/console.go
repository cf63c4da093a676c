package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A console is a program that is typed to, as a person does, and whose answers are read.
type console struct {
	in io.Writer

	mu    sync.Mutex
	text  []byte
	seen  int // how much of it was waited for
	last  time.Time
	ended error // once the program has
}

// open starts a program. All that it says goes to log, too.
func open(ctx context.Context, log io.Writer, name string, args ...string) (*console, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &console{in: in, last: time.Now()}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := out.Read(buffer)
			_, _ = log.Write(buffer[:n])
			c.mu.Lock()
			c.text, c.last = append(c.text, buffer[:n]...), time.Now()
			c.mu.Unlock()
			if err != nil {
				break
			}
		}
		err := cmd.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ended = errEnded; err != nil {
			c.ended = fmt.Errorf("%w: %w", errEnded, err)
		}
	}()
	return c, nil
}

var errEnded = errors.New("the program has ended")

// quietFor is how long a program may say nothing. Downloads and compression are quiet.
const quietFor = 15 * time.Minute

// wait returns what the program says until it has said something that an expression
// matches, with what its groups match.
func (c *console) wait(what *regexp.Regexp) (before string, groups []string, err error) {
	for {
		c.mu.Lock()
		text, ended, last := clean(c.text[c.seen:]), c.ended, c.last
		raw := len(c.text)
		c.mu.Unlock()
		if at := what.FindStringSubmatchIndex(text); at != nil {
			c.mu.Lock()
			// What comes after it is not waited for yet.
			c.seen = raw - len(text[at[1]:])
			c.mu.Unlock()
			return text[:at[0]], what.FindStringSubmatch(text), nil
		}
		switch {
		case ended != nil:
			return text, nil, ended
		case time.Since(last) > quietFor:
			return text, nil, fmt.Errorf("nothing said for %s, waiting for %s after:\n%s", quietFor, what, tail(text))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Sequences that move the cursor, change colors and the like.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?=]*[A-Za-z]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>c78])|\r`)

func clean(text []byte) string { return escapes.ReplaceAllString(string(text), "") }

func tail(text string) string { return text[max(0, len(text)-4000):] }

func (c *console) typeIn(text string) error {
	_, err := io.WriteString(c.in, text)
	return err
}

// ended matches the line that follows each command, with its exit status.
var ended = regexp.MustCompile(`(?m)^@ended (\d+)@$`)

// run types a command to a shell that does not echo, and returns what it says.
func (c *console) run(command string) (string, error) {
	if err := c.typeIn(command + "\nstatus=$?; echo; echo @ended $status@\n"); err != nil {
		return "", err
	}
	out, groups, err := c.wait(ended)
	// The line break before the mark is not the command's.
	out = strings.TrimPrefix(strings.TrimSuffix(out, "\n"), "\n")
	if err == nil && groups[1] != "0" {
		err = fmt.Errorf("exit status %s", groups[1])
	}
	return out, err
}

// debian is a shell in a tree with Debian, with mounts and processes of its own, which end
// with it. The devices are those that every container has, and loop devices.
func debian(ctx context.Context, log io.Writer, tree string) (*console, error) {
	const script = `set -e
tree=$1
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount -t sysfs sysfs "$tree/sys"
mount -t tmpfs tmpfs "$tree/dev"
for node in null zero full random urandom tty loop-control; do
  touch "$tree/dev/$node" && mount --bind "/dev/$node" "$tree/dev/$node"
done
for n in 0 1 2 3 4 5 6 7; do mknod "$tree/dev/loop$n" b 7 "$n"; done
ln -s /proc/self/fd "$tree/dev/fd"
mkdir -m 1777 "$tree/dev/shm"
eval "$(apt-config shell proxy Acquire::http::Proxy)"
http_proxy=${http_proxy:-$proxy}
exec chroot "$tree" env -i HOME=/root PATH=/usr/sbin:/usr/bin TERM=dumb DEBIAN_FRONTEND=noninteractive \
  ${http_proxy:+http_proxy="$http_proxy"} bash -c 'cd /root/tutorial && exec bash'`
	return open(ctx, log, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", tree)
}
