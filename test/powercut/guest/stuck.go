package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stuckAfter is how long a program may take. None takes longer than a second, on
// a machine that is not busy.
const stuckAfter = 2 * time.Minute

// endIfStuck ends the machine if done is not closed in time, and says what the
// kernel was waiting for.
func endIfStuck(what string, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-time.After(stuckAfter):
	}
	fmt.Printf("guest: stuck for %v: %s\n", stuckAfter, what)
	showRequests()
	showTasks()
	time.Sleep(time.Second)                          // the console is drained by then
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) // without a sync, which would wait too
}

// showRequests says how many reads and writes the devices have not answered.
func showRequests() {
	files, _ := filepath.Glob("/sys/block/*/inflight")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			fmt.Printf("guest: %s: %s\n", file, strings.Join(strings.Fields(string(text)), " "))
		}
	}
}

// showTasks prints the kernel's stack of each thread that runs or waits for
// something that no signal ends.
func showTasks() {
	tasks, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	for _, task := range tasks {
		stat, err := os.ReadFile(filepath.Join(task, "stat"))
		if err != nil {
			continue
		}
		_, state, _ := strings.Cut(string(stat), ") ")
		if !strings.HasPrefix(state, "R") && !strings.HasPrefix(state, "D") {
			continue
		}
		stack, _ := os.ReadFile(filepath.Join(task, "stack"))
		name, _ := os.ReadFile(filepath.Join(task, "comm"))
		fmt.Printf("guest: %.1s %s (%s)\n%s", state, strings.TrimSpace(string(name)), task, stack)
	}
}
