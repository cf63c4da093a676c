package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// varLog is a file below /var with lines that are synced one by one.
const varLog = "/var/lib/log"

// lineOf returns what a line of the log has to be.
func lineOf(n int) string { return fmt.Sprintf("line %08d of what was synced\n", n) }

// appendVar appends lines to a file below /var and syncs each.
func (r *recorder) appendVar() error {
	f, err := os.OpenFile(sysroot+varLog, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	for range 3 {
		if _, err := f.WriteString(lineOf(r.line)); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if r.line == 0 {
			if err := syncPath(filepath.Dir(f.Name())); err != nil {
				return err
			}
		}
		r.line++
	}
	return nil
}

// edit changes /etc of the booted deployment as an administrator does, with
// programs that sync, and then all that programs do not.
func (r *recorder) edit(id string, n int) error {
	etc := sysroot + "/etc"
	r.now.Editing = true
	if r.now.Files == nil {
		r.now.Files = make(map[string]string)
	}
	if err := r.mark("edit begins"); err != nil {
		return err
	}
	name := fmt.Sprintf("/local-%d.conf", n)
	text := fmt.Appendf(nil, "# edit %d\n%x\n", n, r.rand.Uint64())
	if err := writeSynced(etc+name, text, 0o640); err != nil {
		return err
	}
	if err := r.appendVar(); err != nil {
		return err
	}
	_, nodes, err := digestTree(upper(id))
	if err != nil {
		return err
	}
	r.now.Files[id+name] = nodes[name]
	if err := r.mark("edited " + name); err != nil {
		return err
	}
	if err := r.editMore(etc, n); err != nil {
		return err
	}
	unix.Sync()
	r.now.Files, r.now.Editing = nil, false
	return r.markEtc("edited", id)
}

// editMore makes changes of every kind.
func (r *recorder) editMore(etc string, n int) error {
	passwd := fmt.Sprintf("user%d:x:%d:%d::/home/user%d:/bin/sh\n", n, 2000+n, 2000+n, n)
	old, err := os.ReadFile(path.Join(etc, "passwd"))
	if err != nil {
		return err
	}
	dir := path.Join(etc, fmt.Sprintf("local-%d.d", n))
	big := make([]byte, 20_000)
	for i := range big {
		big[i] = byte(r.rand.Uint32())
	}
	for _, f := range []func() error{
		func() error { return os.WriteFile(path.Join(etc, "passwd"), append(old, passwd...), 0o644) },
		func() error { return os.Mkdir(dir, 0o750) },
		func() error { return os.WriteFile(path.Join(dir, "big"), big, 0o600) },
		func() error { return os.Link(path.Join(dir, "big"), path.Join(dir, "big-link")) },
		func() error { return os.Symlink("../passwd", path.Join(dir, "link")) },
		func() error { return unix.Setxattr(path.Join(dir, "big"), "user.note", []byte("kept"), 0) },
		func() error { return os.Chmod(path.Join(etc, "default.conf"), 0o600) },
		func() error {
			return os.WriteFile(path.Join(etc, "edited.conf"), fmt.Appendf(nil, "edit %d\n", n), 0o644)
		},
		func() error {
			err := os.Remove(path.Join(etc, "removed.conf"))
			if os.IsNotExist(err) {
				return nil
			}
			return err
		},
	} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
