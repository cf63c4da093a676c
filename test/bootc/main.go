// Command bootc has bootc install a machine, and then us and bootc update it and
// roll it back in turn. It prints what it does in the machine, and what the machine
// answers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/schema"
	"github.com/sysupdate-image/sysupdate-image/test/transcript"
)

// A machine is the transcript of one machine that several programs update.
type machine struct {
	transcript.Transcript
	schema schema.Schema // of bootc's status in JSON
	disk   string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "\ntest/bootc:", err)
		os.Exit(1)
	}
}

func run() error {
	source := flag.String("source", "", "bootc's checkout")
	programs := programs{}
	flag.StringVar(&programs.bootc, "bootc", "", "bootc's program (default SOURCE/target/release/bootc)")
	flag.StringVar(&programs.initramfs, "initramfs-setup", "", "its program for the initramfs (default SOURCE/target/release/bootc-initramfs-setup)")
	flag.Parse()
	if *source == "" || flag.NArg() > 0 {
		return errors.New("usage: test/bootc/run --source DIR [--bootc FILE] [--initramfs-setup FILE]")
	}
	programs.setDefaults(*source)

	hostSchema, err := schema.Read(filepath.Join(*source, "docs/src/host-v1.schema.json"))
	if err != nil {
		return fmt.Errorf("cannot read bootc's schema: %w", err)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "bootc-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tree := filepath.Join(dir, "bootc")
	if err := programs.install(tree); err != nil {
		return fmt.Errorf("cannot install bootc's programs: %w", err)
	}
	if err := os.Setenv("BOOTC", tree); err != nil { // for test/images/build
		return err
	}
	return show(ctx, dir, hostSchema)
}

func show(ctx context.Context, dir string, hostSchema schema.Schema) error {
	m := &machine{schema: hostSchema, Transcript: transcript.Transcript{Ctx: ctx, Dir: dir, Out: os.Stdout, Began: time.Now()}}
	defer m.Off()
	err := m.Run(m.build, m.install, m.firstBoot, m.ourUpdate, m.secondBoot, m.bootcRollback,
		m.bootcSwitch, m.ourRollback, m.ourNextUpdate, m.bootcAgain, m.end)
	if err != nil {
		return err
	}
	fmt.Fprintf(m.Out, "\nIn %s a disk that bootc installed was updated and rolled back by us and by bootc in turn; %d checks held.\n",
		time.Since(m.Began).Round(time.Second), m.Checks)
	return nil
}
