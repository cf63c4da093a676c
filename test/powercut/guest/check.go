package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/facts"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/replay"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// A checker looks at what file systems have after power cuts.
type checker struct {
	job     facts.Check
	fstype  string
	out     *output
	entries []writelog.Entry
	done    int // entries that are durable
	esp     *area
	root    *area
	seen    [2]map[replay.State]bool

	mountTime, readTime, restoreTime time.Duration
}

func check(job facts.Job, out *output) error {
	c := checker{job: *job.Check, fstype: job.FSType, out: out}
	c.seen = [2]map[replay.State]bool{{}, {}}
	if err := c.open(); err != nil {
		return err
	}
	if err := startManager(managerSocket); err != nil { // for what is taken on
		return err
	}
	start := time.Now()
	for i, cut := range c.job.Cuts {
		if err := c.cut(i, cut); err != nil {
			return fmt.Errorf("cut %d: %w", i, err)
		}
		if i%50 == 0 {
			fmt.Printf("guest: %d of %d cuts after %.0f s (mount %.0f, read %.0f, restore %.0f)\n", i, len(c.job.Cuts), time.Since(start).Seconds(), c.mountTime.Seconds(), c.readTime.Seconds(), c.restoreTime.Seconds())
		}
	}
	c.out.say(facts.Result{Cuts: len(c.job.Cuts)})
	return nil
}

// open reads the log and the disk as it was before.
func (c *checker) open() error {
	logName, err := findDisk("log")
	if err != nil {
		return err
	}
	data, err := mapDevice(logName)
	if err != nil {
		return err
	}
	if c.entries, err = writelog.Parse(data); err != nil {
		return err
	}
	diskName, err := findDisk("disk")
	if err != nil {
		return err
	}
	disk, err := os.Open(diskName)
	if err != nil {
		return err
	}
	defer disk.Close()
	if c.esp, err = newArea(c.job.Areas[facts.ESP], disk, "esp"); err != nil {
		return fmt.Errorf("boot partition: %w", err)
	}
	if c.root, err = newArea(c.job.Areas[facts.Root], disk, "root"); err != nil {
		return fmt.Errorf("root partition: %w", err)
	}
	return nil
}

// mapDevice returns the content of a block device.
func mapDevice(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	return unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE)
}

// cut looks at what is there after a power cut.
func (c *checker) cut(i int, cut replay.Cut) error {
	for ; c.done < cut.Durable; c.done++ {
		if e := c.entries[c.done]; e.IsWrite() {
			c.esp.commit(e)
			c.root.commit(e)
		}
	}
	for _, a := range []struct {
		which int
		area  *area
		look  func(replay.State) facts.Result
	}{{facts.ESP, c.esp, c.lookESP}, {facts.Root, c.root, c.lookRoot}} {
		state := cut.States[a.which]
		if c.seen[a.which][state] {
			continue
		}
		c.seen[a.which][state] = true
		for _, p := range cut.Pieces {
			a.area.arrive(c.entries[p.Entry], p)
		}
		c.out.say(a.look(state))
		start := time.Now()
		if err := a.area.restore(); err != nil {
			return err
		}
		c.restoreTime += time.Since(start)
	}
	for _, r := range c.job.Recover {
		if r.Cut == i {
			return c.recover(r, cut)
		}
	}
	return nil
}

const (
	espDir  = "/run/look/esp"
	rootDir = "/run/look/root"
)

// with mounts a device while look looks at it.
func (c *checker) with(device, dir, fstype, options string, look func() error) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	start := time.Now()
	if err := unix.Mount(device, dir, fstype, unix.MS_RDONLY, options); err != nil {
		return fmt.Errorf("cannot be mounted: %w", err)
	}
	c.mountTime += time.Since(start)
	start = time.Now()
	err = look()
	c.readTime += time.Since(start)
	start = time.Now()
	if unmountErr := unix.Unmount(dir, 0); err == nil {
		err = unmountErr
	}
	c.mountTime += time.Since(start)
	return err
}

func (c *checker) lookESP(state replay.State) facts.Result {
	f := &facts.ESPFacts{State: state}
	if err := c.with(c.esp.device, espDir, "vfat", "", func() error { return readESP(f) }); err != nil {
		f.Error = err.Error()
	} else if err := c.listESP(); err != nil {
		f.Listing = err.Error()
	}
	return facts.Result{ESP: f}
}

func (c *checker) lookRoot(state replay.State) facts.Result {
	f := &facts.RootFacts{State: state, Deployments: map[string]facts.Deployment{}}
	if err := c.with(c.root.device, rootDir, c.fstype, "", func() error { return readRoot(f) }); err != nil {
		f.Error = err.Error()
	}
	return facts.Result{Root: f}
}
