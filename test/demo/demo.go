package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/vmtest"
)

// A demo prints and checks. After the first error, which stays in err, its methods
// do nothing.
type demo struct {
	ctx     context.Context
	dir     string
	out     io.Writer
	began   time.Time
	heading int
	checks  int
	machine *vmtest.Machine
	disk    string // what was installed
	err     error
}

// head begins a part of the transcript.
func (d *demo) head(title string) {
	if d.err != nil {
		return
	}
	d.heading++
	fmt.Fprintf(d.out, "\n== %d. %s\n", d.heading, title)
}

// say explains what comes next.
func (d *demo) say(text string) {
	if d.err == nil {
		fmt.Fprintf(d.out, "\n%s\n", text)
	}
}

// show runs a command that has to succeed, and whose output has to contain texts.
func (d *demo) show(command string, texts ...string) {
	result, ok := d.command(command)
	if !ok {
		return
	}
	if result.Exit != 0 {
		d.err = fmt.Errorf("%s: exit status %d; it should have succeeded", command, result.Exit)
		return
	}
	d.contains(command, result, texts)
}

// refused runs a command that has to fail and say texts.
func (d *demo) refused(command string, texts ...string) {
	result, ok := d.command(command)
	if !ok {
		return
	}
	if result.Exit == 0 {
		d.err = fmt.Errorf("%s: it succeeded; it should have been refused", command)
		return
	}
	d.contains(command, result, texts)
}

// command runs a command in the machine and prints it with its output.
func (d *demo) command(command string) (vmtest.Result, bool) {
	if d.err != nil {
		return vmtest.Result{}, false
	}
	fmt.Fprintf(d.out, "\n  # %s\n", strings.ReplaceAll(command, "\n", "\n    "))
	ctx, cancel := context.WithTimeout(d.ctx, 10*time.Minute)
	defer cancel()
	result, err := d.machine.Run(ctx, "exec 2>&1\n"+command)
	if err != nil {
		d.err = fmt.Errorf("%s: %w", command, err)
		return vmtest.Result{}, false
	}
	d.print(result)
	return result, true
}

// print shows what a command wrote, and how long it took when that is felt.
func (d *demo) print(result vmtest.Result) {
	for line := range strings.Lines(result.Stdout + result.Stderr) {
		fmt.Fprintf(d.out, "    %s\n", strings.TrimRight(line, "\n"))
	}
	if result.Took > 10*time.Second {
		fmt.Fprintf(d.out, "    (%s)\n", result.Took.Round(time.Second))
	}
}

func (d *demo) contains(command string, result vmtest.Result, texts []string) {
	output := result.Stdout + result.Stderr
	for _, text := range texts {
		if !strings.Contains(output, text) {
			d.err = fmt.Errorf("%s: its output should have %q", command, text)
			return
		}
	}
	d.checks++
}

// start switches a machine on.
func (d *demo) start(cfg vmtest.Config) {
	if d.err != nil {
		return
	}
	d.bootedBy(func(ctx context.Context) (err error) {
		if d.machine, err = vmtest.Start(d.ctx, cfg); err == nil {
			_, err = d.machine.WaitBoot(ctx)
		}
		return err
	})
}

// reboot leaves the machine by its front door, and comes back.
func (d *demo) reboot() {
	if d.err != nil {
		return
	}
	fmt.Fprint(d.out, "\n  # systemctl reboot\n")
	d.bootedBy(d.machine.Reboot)
}

// bootedBy waits for a boot in which every unit started.
func (d *demo) bootedBy(boot func(context.Context) error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(d.ctx, 5*time.Minute)
	defer cancel()
	if d.err = boot(ctx); d.err != nil {
		return
	}
	state, err := d.machine.WaitSettled(ctx)
	if d.err = err; err != nil {
		return
	}
	if state != "running" {
		failed, err := d.machine.Run(ctx, "systemctl --no-pager --failed; journalctl --no-pager --boot --priority=warning")
		d.err = errors.Join(fmt.Errorf("the machine is %s, and should be running:\n%s", state, failed.Stdout), err)
		return
	}
	d.checks++
	fmt.Fprintf(d.out, "\n  (up after %s)\n", time.Since(began).Round(time.Second))
}

// off ends the machine, whatever it is doing.
func (d *demo) off() {
	if d.machine != nil {
		d.machine.Kill()
	}
}
