// Command tutorial does what docs/tutorial.md tells its reader, in a Debian that has nothing
// but what Debian's container image has, and our package:
//
//	go run ./test/tutorial
//
// It types every command of the document, in order, to a shell in that Debian and to the
// console of the machine that the tutorial boots, and compares the answers. What the document
// marks is left out, and listed. It needs root, loop devices and what hack/setup installs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

const tutorial = "docs/tutorial.md"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "\ntutorial:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	repository, err := disks.Repository()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(repository, tutorial))
	if err != nil {
		return err
	}
	steps, err := blocks(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", tutorial, err)
	}
	dir, err := os.MkdirTemp("", "tutorial-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &reader{dir: dir, tree: filepath.Join(dir, "tree")}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := r.follow(ctx, steps); err != nil {
		return err
	}
	fmt.Printf("\nThe tutorial took %s; %d answers were as it says.\n", time.Since(began).Round(time.Second), r.answers)
	return nil
}

// A reader does what a document says.
type reader struct {
	dir, tree string
	debian    *console
	machine   *machine
	answers   int
}

// prepare makes the Debian that the reader has.
func (r *reader) prepare(ctx context.Context) error {
	plain, err := disks.Image(ctx, "plain")
	if err != nil {
		return err
	}
	if err := disks.Unpack(ctx, plain, "plain", r.tree); err != nil {
		return err
	}
	packages, err := disks.Image(ctx, "packages")
	if err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(packages, "sysupdate-image_*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("%s has %d packages of sysupdate-image: %w", packages, len(debs), err)
	}
	home := filepath.Join(r.tree, "root/tutorial")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	for from, to := range map[string]string{
		debs[0]: home, "/etc/resolv.conf": filepath.Join(r.tree, "etc/resolv.conf"), "/etc/hosts": filepath.Join(r.tree, "etc/hosts"),
	} {
		if out, err := exec.CommandContext(ctx, "cp", from, to).CombinedOutput(); err != nil {
			return fmt.Errorf("cp %s: %w: %s", from, err, out)
		}
	}
	return r.limits()
}

// limits has buildah ask for no higher limits than this process has: in a container it may not.
func (r *reader) limits() error {
	var limits []string
	for name, resource := range map[string]int{"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC} {
		var l unix.Rlimit
		if err := unix.Getrlimit(resource, &l); err != nil {
			return fmt.Errorf("getrlimit: %w", err)
		}
		limits = append(limits, fmt.Sprintf("%q", fmt.Sprintf("%s=%d:%d", name, l.Max, l.Max)))
	}
	dir := filepath.Join(r.tree, "etc/containers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text := "[containers]\ndefault_ulimits = [" + strings.Join(limits, ", ") + "]\n"
	return os.WriteFile(filepath.Join(dir, "containers.conf"), []byte(text), 0o644)
}

// follow runs blocks, one after the other.
func (r *reader) follow(ctx context.Context, steps []block) (err error) {
	log, err := os.Create(filepath.Join(os.TempDir(), "tutorial.debian.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	if r.debian, err = debian(ctx, log, r.tree); err != nil {
		return err
	}
	for _, b := range steps {
		began := time.Now()
		fmt.Printf("%s:%d: %s\n", tutorial, b.line, strings.TrimPrefix(firstLine(b), "# "))
		out, err := r.step(ctx, b)
		if err == nil && b.answer != "" {
			r.answers++
			if !matches(out, b.answer) {
				err = errors.New("the document says otherwise:\n" + b.answer)
			}
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w\n%s", tutorial, b.line, err, tail(out))
		}
		fmt.Printf("    %s\n", time.Since(began).Round(100*time.Millisecond))
	}
	return nil
}

func firstLine(b block) string {
	if b.where != "" && b.where != inMachine {
		return b.where
	}
	line, _, _ := strings.Cut(b.text, "\n")
	return line
}

// step runs a block where it belongs.
func (r *reader) step(ctx context.Context, b block) (string, error) {
	switch {
	case strings.HasPrefix(b.where, notInTest):
		return "", nil
	case b.where == "":
		// From a file, since what is in the block reads standard input, too. The first error
		// ends the shell.
		if err := os.WriteFile(filepath.Join(r.tree, "tmp/block"), []byte(b.text), 0o644); err != nil {
			return "", err
		}
		return r.debian.run("set -e; . /tmp/block </dev/null 2>&1; set +e; true")
	case b.where == inTerminal:
		if err := os.WriteFile(filepath.Join(r.tree, "tmp/terminal"), []byte(b.text), 0o644); err != nil {
			return "", err
		}
		log, err := os.Create(filepath.Join(os.TempDir(), "tutorial.machine.log"))
		if err != nil {
			return "", err
		}
		terminal, err := debian(ctx, log, r.tree)
		if err != nil {
			return "", err
		}
		r.machine = &machine{console: terminal, boots: 1}
		// Its standard input is the machine's from then on, and it ends with the machine.
		return "", terminal.typeIn("exec bash -e /tmp/terminal\n")
	case r.machine == nil:
		return "", errors.New("there is no machine yet")
	}
	return r.machine.block(b)
}
