// Command demo builds three versions of an operating system image, installs the
// first one on a disk, boots it, updates it to the second, and to the third, which is
// bad and undoes itself. It prints what it does in the machine, and what the machine
// answers, and ends with a picture of that.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/test/transcript"
)

// A demo is the transcript, what it has made, and the screens for the picture.
type demo struct {
	transcript.Transcript
	layout, disk string
	screens      []screen
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	d := &demo{Transcript: transcript.Transcript{Ctx: ctx, Dir: dir, Out: os.Stdout, Began: time.Now()}}
	defer d.Off()
	if err := d.Run(d.build, d.install, d.firstBoot, d.update, d.secondBoot, d.badUpdate, d.undone, d.picture); err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "\nIn %s an empty disk got version 1, was updated to version 2 from a registry, got a bad update and went back, "+
		"and kept its settings and data; %d checks held.\n", time.Since(d.Began).Round(time.Second), d.Checks)
	return nil
}
