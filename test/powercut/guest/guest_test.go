package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/replay"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// TestManager starts a unit as go-systemd does, over two connections.
func TestManager(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "private")
	if err := startManager(socket); err != nil {
		t.Fatal(err)
	}
	dial := func() *dbus.Conn {
		c, err := dbus.Dial("unix:path=" + socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	calls, signals := dial(), dial()
	got := make(chan *dbus.Signal, 1)
	signals.Signal(got)
	if err := signals.BusObject().Call("org.freedesktop.DBus.AddMatch", 0, "type='signal'").Err; err != nil {
		t.Fatal(err)
	}
	var job dbus.ObjectPath
	manager := calls.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	if err := manager.Call("org.freedesktop.systemd1.Manager.StartUnit", 0, "x.service", "replace").Store(&job); err != nil {
		t.Fatal(err)
	}
	s := <-got
	if s.Name != "org.freedesktop.systemd1.Manager.JobRemoved" || len(s.Body) != 4 || s.Body[1] != job || s.Body[2] != "x.service" || s.Body[3] != "done" {
		t.Errorf("signal %s %v; want that job %s of x.service is done", s.Name, s.Body, job)
	}
}

// TestDigestTree finds that everything that /etc may lose changes the digest.
func TestDigestTree(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "d/file")
	check := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	check(os.Mkdir(filepath.Join(dir, "d"), 0o755), os.WriteFile(file, []byte("text"), 0o644))
	seen := make(map[string]string)
	for _, step := range []struct {
		what   string
		change func() error
	}{
		{"nothing", func() error { return nil }},
		{"content", func() error { return os.WriteFile(file, []byte("TEXT"), 0o644) }},
		{"permissions", func() error { return os.Chmod(file, 0o600) }},
		{"permissions of a directory", func() error { return os.Chmod(filepath.Join(dir, "d"), 0o700) }},
		{"link", func() error { return os.Link(file, filepath.Join(dir, "link")) }},
		{"symbolic link", func() error { return os.Symlink("a", filepath.Join(dir, "symlink")) }},
		{"its target", func() error {
			return errors.Join(os.Remove(filepath.Join(dir, "symlink")), os.Symlink("b", filepath.Join(dir, "symlink")))
		}},
		{"two files for two links", func() error {
			data, err := os.ReadFile(file)
			info, errStat := os.Stat(file)
			link := filepath.Join(dir, "link")
			return errors.Join(err, errStat, os.Remove(link), os.WriteFile(link, data, 0o600), os.Chtimes(link, info.ModTime(), info.ModTime()))
		}},
		{"empty directory", func() error { return os.Mkdir(filepath.Join(dir, "e"), 0o755) }},
	} {
		check(step.change())
		all, nodes, err := digestTree(dir)
		if err != nil || nodes["/d/file"] == "" {
			t.Fatalf("digestTree = %v, %v", nodes, err)
		}
		if before, ok := seen[all]; ok {
			t.Errorf("%s: the digest is that of %s", step.what, before)
		}
		seen[all] = step.what
	}
	if all, nodes, err := digestTree(filepath.Join(dir, "missing")); all != "" || nodes != nil || err != nil {
		t.Errorf("digestTree of what is not there = %q, %v, %v", all, nodes, err)
	}
}

// TestArea puts entries on an area that begin before it and end after it.
func TestArea(t *testing.T) {
	const s = replay.SectorSize
	a := area{Area: replay.Area{Offset: 2 * s, Size: 2 * s}, durable: make([]byte, 2*s), content: make([]byte, 2*s)}
	e := writelog.Entry{Offset: s, Length: 4 * s, Data: make([]byte, 4*s)}
	for i := range e.Data {
		e.Data[i] = byte('a' + i/s)
	}
	letters := func(b []byte) string { return string([]byte{b[0], b[s-1], b[s], b[2*s-1]}) }
	a.arrive(e, replay.Piece{From: 2, To: 4})
	if got := letters(a.content); got != "\x00\x00cc" {
		t.Errorf("after two of four sectors: %q; want the second", got)
	}
	if got := letters(a.durable); got != "\x00\x00\x00\x00" {
		t.Errorf("what is durable changed: %q", got)
	}
	a.commit(e)
	if got := letters(a.durable) + letters(a.content); got != "bbccbbcc" {
		t.Errorf("after all sectors: %q", got)
	}
	a.commit(writelog.Entry{Flags: writelog.Discard, Offset: 0, Length: 3 * s})
	if got := letters(a.durable); got != "\x00\x00cc" {
		t.Errorf("after a discard: %q", got)
	}
}
