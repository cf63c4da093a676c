package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/facts"
)

// Partition types of the Discoverable Partitions Specification; the last is none
// of them.
var partitionTypes = []string{
	"c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
	"4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
	"0fc63daf-8483-4772-8e79-3d69d8477de4",
}

// A recorder lives the life of a machine: installed, booted, edited, updated,
// shut down, and so on, saying with a marker after each step what holds now.
type recorder struct {
	machine
	job   facts.Recording
	marks *os.File
	rand  *rand.Rand
	now   facts.Marker
	held  string // where the boot partition is mounted all the time, as by an automount
	line  int
}

func record(job facts.Job) error {
	disk, err := findDisk("disk")
	if err != nil {
		return err
	}
	if err := udev(disk, partitionTypes); err != nil {
		return err
	}
	if err := stopWriteback(); err != nil {
		return err
	}
	if err := startManager(managerSocket); err != nil {
		return err
	}
	r := &recorder{
		machine: machine{esp: disk + "1", root: disk + "2", fstype: job.FSType},
		job:     *job.Record, rand: rand.New(rand.NewPCG(job.Record.Seed, 1)), held: "/run/esp",
	}
	if r.marks, err = os.OpenFile(disk+"3", os.O_WRONLY|unix.O_DIRECT, 0); err != nil {
		return err
	}
	defer r.marks.Close()
	return r.live()
}

// mark writes what holds now into the log.
func (r *recorder) mark(step string) error {
	r.now.Step, r.now.Var = step, r.line
	data, err := r.now.Encode()
	if err != nil {
		return err
	}
	fmt.Println("guest: mark:", step)
	buf, err := unix.Mmap(-1, 0, len(data), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) // aligned
	if err != nil {
		return err
	}
	defer unix.Munmap(buf)
	copy(buf, data)
	_, err = r.marks.WriteAt(buf, 0)
	return err
}

// live is the whole recording.
func (r *recorder) live() error {
	first, err := r.install()
	if err != nil {
		return err
	}
	booted, before := first, ""
	for i, image := range r.job.Images[1:] {
		next, err := r.update(booted, before, image, i)
		if err != nil {
			return err
		}
		booted, before = next, booted
	}
	return r.rollBack(booted, before)
}

// install installs the first image, as hack and README say.
func (r *recorder) install() (id string, err error) {
	const root, esp = "/run/newroot", "/run/newesp"
	if err := errors.Join(os.MkdirAll(root, 0o755), os.MkdirAll(esp, 0o755), os.MkdirAll(r.held, 0o755)); err != nil {
		return "", err
	}
	if err := unix.Mount(r.root, root, r.fstype, 0, rootOptions(r.fstype)); err != nil {
		return "", fmt.Errorf("mount root: %w", err)
	}
	if err := unix.Mount(r.esp, esp, "vfat", 0, ""); err != nil {
		return "", fmt.Errorf("mount esp: %w", err)
	}
	if r.job.Neighbour {
		if err := startNeighbour(r.esp, esp, root); err != nil {
			return "", err
		}
	}
	r.now = facts.Marker{Next: []string{facts.None, facts.Any}}
	if err := r.mark("install begins"); err != nil {
		return "", err
	}
	if err := execute("/run/tools/sysupdate-image", "install", "to-filesystem", root, "--esp", esp, "--image", r.job.Images[0]); err != nil {
		return "", err
	}
	if id, err = onlyDeployment(root); err != nil {
		return "", err
	}
	r.now = facts.Marker{Next: []string{id}, Images: []string{id}, Etc: map[string][]string{id: {""}}}
	if err := r.mark("installed"); err != nil {
		return "", err
	}
	if err := unix.Mount(esp, r.held, "", unix.MS_BIND, ""); err != nil {
		return "", err
	}
	return id, errors.Join(unix.Unmount(esp, unix.MNT_DETACH), unix.Unmount(root, unix.MNT_DETACH))
}

func onlyDeployment(root string) (string, error) {
	list, err := os.ReadDir(path.Join(root, deployment.DeployDir))
	if err != nil || len(list) != 1 {
		return "", fmt.Errorf("deployments after the installation: %v, %w", list, err)
	}
	return list[0].Name(), nil
}

// update is one boot of a machine, from which it is updated to an image.
func (r *recorder) update(booted, before, image string, n int) (next string, err error) {
	if err := r.start(booted, before); err != nil {
		return "", err
	}
	if err := r.edit(booted, n); err != nil {
		return "", err
	}
	if err := r.mark("apply begins"); err != nil {
		return "", err
	}
	if err := inside(sysroot, "/run/tools/sysupdate-image", "apply", image); err != nil {
		return "", err
	}
	if next, err = r.staged(); err != nil {
		return "", err
	}
	r.now.Staged, r.now.Listed = next, nil
	r.now.Images = []string{booted, next}
	if err := r.mark("applied"); err != nil {
		return "", err
	}
	// The local changes after staging count too.
	if err := r.edit(booted, n+100); err != nil {
		return "", err
	}
	r.now.Next, r.now.Staged = []string{booted, next}, ""
	r.counts(next, booted, "3-0")
	if err := r.mark("finalize begins"); err != nil {
		return "", err
	}
	if err := inside(sysroot, "/run/tools/finalize"); err != nil {
		return "", err
	}
	r.now.Next, r.now.Listed = []string{next}, []string{booted}
	if err := r.markEtc("finalized", booted, next); err != nil {
		return "", err
	}
	return next, r.down(r.job.Neighbour)
}

// start boots a deployment: the loader counts the boot, and once it has
// succeeded, systemd-bless-boot says so.
func (r *recorder) start(id, before string) error {
	r.now.Files = nil
	r.now.Next = []string{id}
	r.now.Listed = nil
	if before != "" {
		r.now.Next = append(r.now.Next, before) // renaming is theirs, and not atomic
	}
	r.now.Moving = true // prepare-root makes what the overlay needs
	if r.counts(id, before, "3-0", "2-1"); before == "" {
		r.counts(id, "", "")
	}
	if err := r.mark("boot begins"); err != nil {
		return err
	}
	r.now.Moving = false
	if err := r.renameEntry(id, "+3-0", "+2-1"); err != nil {
		return err
	}
	if err := r.boot(id); err != nil {
		return err
	}
	if err := r.bless(id, before); err != nil {
		return err
	}
	if err := r.renameEntry(id, "+2-1", ""); err != nil {
		return err
	}
	if err := r.appendVar(); err != nil {
		return err
	}
	r.now.Next = []string{id}
	if before != "" {
		r.now.Listed = []string{before}
	}
	return r.markEtc("booted", id)
}

// counts says what the initramfs may have counted of a deployment that a loader lists, and
// that another one is good, "" for none.
func (r *recorder) counts(id, good string, may ...string) {
	r.now.Attempts = map[string][]string{id: may}
	if good != "" {
		r.now.Attempts[good] = []string{"", facts.NoTrial}
	}
}

// bless ends the count of the initramfs, as is done before the entry of the loader.
func (r *recorder) bless(id, before string) error {
	if before == "" { // the first one is not on trial
		r.counts(id, "", "")
		return nil
	}
	r.now.Moving = true
	r.counts(id, before, "2-1")
	if err := r.mark("counted"); err != nil {
		return err
	}
	r.counts(id, before, "2-1", facts.NoTrial)
	if err := r.mark("bless begins"); err != nil {
		return err
	}
	if err := inside(sysroot, "/run/tools/finalize", "bless"); err != nil {
		return err
	}
	r.counts(id, before, facts.NoTrial)
	err := r.mark("blessed")
	r.now.Moving = false
	return err
}

// renameEntry does to an entry on trial what the loader and systemd-bless-boot
// do, and syncs that.
func (r *recorder) renameEntry(id, from, to string) error {
	p, err := boot.OpenDir(r.held)
	if err != nil {
		return err
	}
	defer p.Close()
	files, err := p.Entries()
	if err != nil {
		return err
	}
	dir := path.Join(r.held, "loader/entries")
	for _, f := range files {
		if string(f.Target.ID) == id && strings.Contains(f.File, from+".conf") {
			err = os.Rename(path.Join(dir, f.File), path.Join(dir, strings.Replace(f.File, from, to, 1)))
		}
	}
	unix.Sync()
	return err
}

// markEtc is mark with what /etc of deployments has now.
func (r *recorder) markEtc(step string, ids ...string) error {
	r.now.Etc = make(map[string][]string)
	for _, id := range ids {
		all, _, err := digestTree(upper(id))
		if err != nil {
			return err
		}
		r.now.Etc[id] = []string{all}
	}
	return r.mark(step)
}

func (r *recorder) staged() (string, error) {
	record, err := records.LoadStaged(os.DirFS(path.Join(sysroot, "sysroot")))
	return string(record.ID), err
}

// rollBack boots the last deployment and makes the one before it the next.
func (r *recorder) rollBack(booted, before string) error {
	if err := r.start(booted, before); err != nil {
		return err
	}
	r.now.Next, r.now.Listed = []string{booted, before}, []string{booted, before}
	r.counts(booted, before, facts.NoTrial)
	if err := r.mark("rollback begins"); err != nil {
		return err
	}
	if err := inside(sysroot, "/run/tools/sysupdate-image", "rollback"); err != nil {
		return err
	}
	r.now.Next = []string{before}
	if err := r.mark("rolled back"); err != nil {
		return err
	}
	if err := r.appendVar(); err != nil {
		return err
	}
	if err := r.mark("end"); err != nil {
		return err
	}
	return r.down(r.job.Neighbour)
}
