package vm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrStuck is why the context of Bounded ends when the machine gets nowhere.
var ErrStuck = errors.New("the machine makes no progress")

// A machine is idle when it shows nothing on its console and uses the processor for
// less than busy within idleLimit. A running machine that waits for nothing but its
// timers stays below that; one that works does not, even beside many other processes.
const (
	idleLimit = 5 * time.Minute
	busy      = 20 * time.Second
)

// Bounded returns a context that ends with ctx, and with ErrStuck as its cause once
// the machine has been idle for minutes or has used the processor for longer than
// work. Neither depends on how busy the host is, as a limit in wall-clock time would.
func (m *Machine) Bounded(ctx context.Context, work time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := progress{work: work, since: time.Now()}
	p.console, p.used, _ = m.measure()
	p.first = p.used
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				console, used, err := m.measure()
				if err != nil {
					return // the machine is off, which whoever waits for it sees
				}
				if err := p.check(now, console, used); err != nil {
					cancel(err)
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// A progress is when a machine last got on, and how far it was then.
type progress struct {
	work    time.Duration
	first   time.Duration // used when it began
	since   time.Time
	console int64         // bytes
	used    time.Duration // processor time
}

// check notes how far the machine is now, and returns an error if it is stuck.
func (p *progress) check(now time.Time, console int64, used time.Duration) error {
	if used-p.first > p.work {
		return fmt.Errorf("%w: it has been busy for %s of processor time", ErrStuck, p.work)
	}
	if console != p.console || used-p.used >= busy {
		p.since, p.console, p.used = now, console, used
		return nil
	}
	if now.Sub(p.since) >= idleLimit {
		return fmt.Errorf("%w: it has been idle for %s", ErrStuck, idleLimit)
	}
	return nil
}

// watch is Bounded for a wait that may take any amount of work.
func (m *Machine) watch(ctx context.Context) (context.Context, context.CancelFunc) {
	return m.Bounded(ctx, math.MaxInt64)
}

// measure returns the size of the console's log and the processor time that QEMU, or
// all processes of User Mode Linux, have used.
func (m *Machine) measure() (console int64, used time.Duration, err error) {
	info, err := os.Stat(m.console.name)
	if err != nil {
		return 0, 0, err
	}
	m.mu.Lock()
	group := m.pid
	m.mu.Unlock()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, 0, err
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil || groupOf(string(stat)) != strconv.Itoa(group) {
			continue // another's, or one that has ended
		}
		time, err := processorTime(string(stat))
		if err != nil {
			return 0, 0, err
		}
		used += time
	}
	return info.Size(), used, nil
}

// groupOf returns the process group in a /proc/PID/stat.
func groupOf(stat string) string {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 3 {
		return ""
	}
	return fields[2] // after state and parent
}

// processorTime returns what a /proc/PID/stat says about the time that a process has
// used, in user space and in the kernel.
func processorTime(stat string) (time.Duration, error) {
	const utime, stime = 14 - 3, 15 - 3 // their numbers in proc(5); the name ends the first two
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= stime {
		return 0, fmt.Errorf("/proc/PID/stat has %d fields after the name", len(fields))
	}
	var ticks int64
	for _, field := range fields[utime : stime+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ, the same on all of Linux's architectures that machines run on
	return time.Duration(ticks) * (time.Second / perSecond), nil
}
