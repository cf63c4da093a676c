// Package transcript shows what is done in a machine and what the machine answers,
// as a person would see it who types it, and checks that as it goes.
package transcript

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

// A Transcript prints and checks. After the first error, which stays in Err, its
// methods do nothing.
type Transcript struct {
	Ctx context.Context
	// Dir is where the machines have their files.
	Dir     string
	Out     io.Writer
	Began   time.Time
	Machine *vm.Machine
	// Checks counts what held.
	Checks int
	Err    error

	heading int
}

// Run does one part after the other, as long as there is no error.
func (t *Transcript) Run(parts ...func()) error {
	for _, part := range parts {
		if part(); t.Err != nil {
			return t.Err
		}
	}
	return nil
}

// What a command and a boot may take of processor time, much more than any needs where
// two processors are emulated. The limit of a boot is lower because one may hang in a busy
// loop: a kernel that QEMU emulated was seen to, before it had a console.
const (
	commandWork = 40 * time.Minute
	bootWork    = 10 * time.Minute
)

// Head begins a part of the transcript.
func (t *Transcript) Head(title string) {
	if t.Err != nil {
		return
	}
	t.heading++
	fmt.Fprintf(t.Out, "\n== %d. %s\n", t.heading, title)
}

// Say explains what comes next.
func (t *Transcript) Say(text string) {
	if t.Err == nil {
		fmt.Fprintf(t.Out, "\n%s\n", text)
	}
}

// Show runs a command that has to succeed, and whose output has to contain texts.
func (t *Transcript) Show(command string, texts ...string) {
	result, ok := t.command(command)
	if !ok {
		return
	}
	if result.Exit != 0 {
		t.Err = fmt.Errorf("%s: exit status %d; it should have succeeded", command, result.Exit)
		return
	}
	t.contains(command, result, texts)
}

// Output is Show for a command whose output is needed. It has no white space at its end.
func (t *Transcript) Output(command string) string {
	result, ok := t.command(command)
	if !ok {
		return ""
	}
	if t.Err = result.Err(); t.Err == nil {
		t.Checks++
	}
	return strings.TrimRight(result.Stdout, "\n")
}

// Refused runs a command that has to fail and say texts.
func (t *Transcript) Refused(command string, texts ...string) {
	result, ok := t.command(command)
	if !ok {
		return
	}
	if result.Exit == 0 {
		t.Err = fmt.Errorf("%s: it succeeded; it should have been refused", command)
		return
	}
	t.contains(command, result, texts)
}

// command runs a command in the machine and prints it with its output.
func (t *Transcript) command(command string) (vm.Result, bool) {
	if t.Err != nil {
		return vm.Result{}, false
	}
	fmt.Fprintf(t.Out, "\n  # %s\n", strings.ReplaceAll(command, "\n", "\n    "))
	ctx, cancel := t.Machine.Bounded(t.Ctx, commandWork)
	defer cancel()
	result, err := t.Machine.Run(ctx, "exec 2>&1\n"+command)
	if err != nil {
		t.Err = fmt.Errorf("%s: %w", command, err)
		return vm.Result{}, false
	}
	t.Print(result)
	return result, true
}

// Print shows what a command wrote, and how long it took when that is felt.
func (t *Transcript) Print(result vm.Result) {
	for line := range strings.Lines(result.Stdout + result.Stderr) {
		fmt.Fprintf(t.Out, "    %s\n", strings.TrimRight(line, "\n"))
	}
	if result.Took > 10*time.Second {
		fmt.Fprintf(t.Out, "    (%s)\n", result.Took.Round(time.Second))
	}
}

func (t *Transcript) contains(command string, result vm.Result, texts []string) {
	output := result.Stdout + result.Stderr
	for _, text := range texts {
		if !strings.Contains(output, text) {
			t.Err = fmt.Errorf("%s: its output should have %q", command, text)
			return
		}
	}
	t.Checks++
}

// Start switches a machine on.
func (t *Transcript) Start(cfg vm.Config) {
	if t.Err != nil {
		return
	}
	if t.Machine, t.Err = vm.Start(t.Ctx, cfg); t.Err != nil {
		return
	}
	t.bootedBy(func(ctx context.Context) error {
		_, err := t.Machine.WaitBoot(ctx)
		return err
	})
}

// Reboot leaves the machine by its front door, and comes back.
func (t *Transcript) Reboot() {
	if t.Err != nil {
		return
	}
	fmt.Fprint(t.Out, "\n  # systemctl reboot\n")
	t.bootedBy(t.Machine.Reboot)
}

// Reboots leaves the machine alone until it is in a boot in which a command succeeds: others
// before it may end at any time.
func (t *Transcript) Reboots(command string) {
	if t.Err != nil {
		return
	}
	fmt.Fprint(t.Out, "\n  # systemctl reboot\n")
	// Each of the boots may take what one may.
	t.bootedWithin(4*bootWork, func(ctx context.Context) error {
		for err := t.Machine.Reboot(ctx); ; _, err = t.Machine.WaitBoot(ctx) {
			if err != nil {
				return err
			}
			result, err := t.Machine.Run(ctx, command)
			if err == nil && result.Exit == 0 {
				return nil
			}
			if err != nil && !vm.WentDown(err) {
				return err
			}
		}
	})
}

// bootedBy waits for a boot in which every unit started.
func (t *Transcript) bootedBy(boot func(context.Context) error) { t.bootedWithin(bootWork, boot) }

// bootedWithin is bootedBy for boots that may take some processor time together.
func (t *Transcript) bootedWithin(work time.Duration, boot func(context.Context) error) {
	began := time.Now()
	ctx, cancel := t.Machine.Bounded(t.Ctx, work)
	defer cancel()
	if t.Err = boot(ctx); t.Err != nil {
		return
	}
	state, err := t.Machine.WaitSettled(ctx)
	if t.Err = err; err != nil {
		return
	}
	if state != "running" {
		failed, err := t.Machine.Run(ctx, "systemctl --no-pager --failed; journalctl --no-pager --boot --priority=warning")
		t.Err = errors.Join(fmt.Errorf("the machine is %s, and should be running:\n%s", state, failed.Stdout), err)
		return
	}
	t.Checks++
	fmt.Fprintf(t.Out, "\n  (up after %s)\n", time.Since(began).Round(time.Second))
}

// Off ends the machine, whatever it is doing.
func (t *Transcript) Off() {
	if t.Machine != nil {
		t.Machine.Kill()
	}
}
