package main

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// TestDisk runs scripts that make partitions and file systems on loop devices.
func TestDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("partitions and file systems are made only without -short, as in make check")
	}
	ns.Run(t, func(t *testing.T) {
		ns.NeedRealRoot(t)
		if _, err := os.Stat("/dev/loop-control"); err != nil {
			t.Skip("there are no loop devices here")
		}
		runScripts(t, "testdata/disk")
	})
}

// loop makes a loop device of a file, and puts its path into the environment: with -r one
// that cannot be written to, with -s one with sectors of 4096 bytes.
//
//	loop [-r] [-s] VARIABLE FILE
func loop(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("loop", flag.ContinueOnError)
	readOnly, large := flags.Bool("r", false, ""), flags.Bool("s", false, "")
	ts.Check(flags.Parse(args))
	if args = flags.Args(); neg || len(args) != 2 {
		ts.Fatalf("usage: loop [-r] [-s] VARIABLE FILE")
	}
	line := []string{"--find", "--show"}
	if *readOnly {
		line = append(line, "--read-only")
	}
	if *large {
		line = append(line, "--sector-size=4096")
	}
	out, err := exec.Command("losetup", append(line, ts.MkAbs(args[1]))...).Output()
	ts.Check(err)
	device := strings.TrimSpace(string(out))
	ts.Defer(func() { _ = exec.Command("losetup", "--detach", device).Run() })
	ts.Setenv(args[0], device)
}

// waitDetached waits until a file has no loop device: one that is detached stays for as long as
// any program has it open, as losetup of another test has for a moment.
//
//	waitdetached FILE
func waitDetached(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitdetached FILE")
	}
	var out []byte
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var err error
		out, err = exec.Command("losetup", "--associated", ts.MkAbs(args[0])).Output()
		ts.Check(err)
		if len(out) == 0 {
			return
		}
	}
	ts.Fatalf("%s still has a loop device: %s", args[0], out)
}
