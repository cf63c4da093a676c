package update

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/sample"
)

// Each change of a machine, stopped after every step of it on the root file
// system or the boot partition, leaves what boots next old or new, and gets
// through the next time. Then there is what is there when nothing stopped it.
func TestStopped(t *testing.T) {
	t.Parallel()
	ns.Run(t, func(t *testing.T) { // a fork of another test would hold its locks
		b := newBench(t)
		tests := []struct {
			name     string
			old, new string // title of what boots next
			do       func(*Machine) error
		}{
			{"apply", "OS (2)", "OS (3)", func(m *Machine) error { return b.applyError(m, "3") }},
			{"apply what is there", "OS (2)", "OS (1)", func(m *Machine) error { return b.applyError(m, "1") }},
			{"follow another reference", "OS (2)", "OS (2)", func(m *Machine) error { return b.applyError(m, "2-renamed") }},
			{"rollback", "OS (2)", "OS (1)", func(m *Machine) error {
				_, err := m.Rollback(context.Background(), "1-is-pinned")
				return err
			}},
			{"change kernel arguments", "OS (2)", "OS (2)", func(m *Machine) error {
				_, err := m.ChangeKargs(context.Background(), []string{"added"}, nil)
				return err
			}},
			{"pin", "OS (2)", "OS (2)", func(m *Machine) error { _, err := m.Pin("next", "name"); return err }},
			{"unpin and prune", "OS (2)", "OS (2)", func(m *Machine) error {
				if _, err := m.Unpin("1-is-pinned"); err != nil && !strings.Contains(err.Error(), "is called") {
					return err
				}
				_, err := m.Prune(context.Background(), false)
				return err
			}},
			{"rm", "OS (2)", "OS (2)", func(m *Machine) error {
				if s, err := m.readState(); err != nil || len(s.Known()) == 1 {
					return err
				}
				if _, err := m.Unpin("1-is-pinned"); err != nil && !strings.Contains(err.Error(), "is called") {
					return err
				}
				_, err := m.Remove(context.Background(), []string{b.idOf("1")[:12]})
				return err
			}},
		}
		m := b.open(b.dir, nil)
		_, err := m.Pin("rollback", "1-is-pinned")
		b.must(errors.Join(err, m.Close()))
		for _, tt := range tests {
			want := ""
			for n := -1; ; n += sample.Stride() {
				dir := b.copy()
				var wrap func(durable.FS) durable.FS
				if n >= 0 {
					wrap = durabletest.BriefCrash(n)
				}
				m := b.open(dir, wrap)
				err := tt.do(m)
				b.must(m.Close())
				if first, _, _ := strings.Cut(b.titles(dir), ","); first != tt.old && first != tt.new || err == nil && first != tt.new {
					t.Errorf("%s: after %d steps %s boots next (%v)", tt.name, n, first, err)
				}
				m = b.open(dir, nil)
				if err := tt.do(m); err != nil {
					t.Errorf("%s: after %d steps: again: %v", tt.name, n, err)
				}
				if _, err := m.Prune(context.Background(), false); err != nil {
					t.Errorf("%s: after %d steps: prune: %v", tt.name, n, err)
				}
				b.must(m.Close())
				if n < 0 {
					want = files(t, dir)
				} else if got := files(t, dir); got != want {
					t.Errorf("%s: after %d steps and again there is %q too many, and %q is missing", tt.name, n, without(got, want), without(want, got))
				}
				b.must(os.RemoveAll(dir))
				if n >= 0 && err == nil {
					break
				}
			}
		}
	})
}

// The steps on the root file system and the boot partition, apart from the
// repository's own.
func TestTraces(t *testing.T) {
	ns.Run(t, func(t *testing.T) { // without a systemd that stage could ask
		b := newBench(t)
		one, two := b.idOf("1"), b.idOf("2")
		var three string
		var trace *durabletest.Recorder
		tests := []struct {
			name string
			do   func(m *Machine) error
			want string
		}{
			{"stage", func(m *Machine) error {
				m.Booted, m.etc, m.Running = deployment.ID(two), deployment.EtcOverlay, os.DirFS("/nowhere")
				err := b.applyError(m, "3")
				if record, _ := m.staged(); record != nil {
					three = string(record.ID)
				}
				if err != nil && strings.Contains(err.Error(), "staged, but finalize could not be scheduled") {
					return nil // no systemd is asked here
				}
				return err
			}, stageSteps},
			{"publish", func(m *Machine) error { return b.applyError(m, "3") }, publishSteps},
			{"rm", func(m *Machine) error {
				_, err := m.Pin("rollback", "")
				b.must(err)
				trace.Reset()
				_, err = m.Unpin("rollback")
				b.must(err)
				_, err = m.Remove(context.Background(), []string{"rollback"})
				return err
			}, rmSteps},
			{"note a failure", func(m *Machine) error {
				old, err := filepath.Glob(m.Root.Name() + "/boot/loader/entries/*" + two[:12] + "*")
				b.must(err)
				b.must(os.Rename(old[0], strings.TrimSuffix(old[0], ".conf")+"+0-3.conf"))
				s, err := m.readState()
				b.must(err)
				return m.noteFailures(s)
			}, failureSteps},
			{"unstage", func(m *Machine) error {
				m.Booted, m.etc, m.Running = deployment.ID(two), deployment.EtcOverlay, os.DirFS("/nowhere")
				_ = b.applyError(m, "3") // it is staged, but no systemd was asked
				trace.Reset()
				_, err := m.unstage()
				return err
			}, unstageSteps},
			{"pin", func(m *Machine) error { _, err := m.Pin("next", "name"); return err }, pinSteps},
		}
		for _, tt := range tests {
			m := b.open(b.copy(), nil)
			trace = durabletest.Trace(m.Changes)
			m.Changes = trace
			m.Boot.Through(func(fsys durable.FS) durable.FS { return trace.Also("boot: ", fsys) })
			if err := tt.do(m); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			b.must(m.Close())
			got := strings.NewReplacer(one, "ONE", two, "TWO", three, "THREE", one[:12], "ONE", two[:12], "TWO").Replace(trace.String())
			if three != "" {
				got = strings.ReplaceAll(got, three[:12], "THREE")
			}
			got = regexp.MustCompile("[0-9a-f]{64}").ReplaceAllString(got, "KERNEL")
			got = regexp.MustCompile("/[0-9a-f]{8}[.0-9a-f]*-").ReplaceAllString(got, "/BOOT-")
			if got != tt.want {
				t.Errorf("%s: steps:\n%s\nwant:\n%s", tt.name, got, tt.want)
			}
		}
	})
}

const (
	// Kernel and entry are recorded before they are there. Of what is not recorded another
	// system on the partition may be the owner.
	deploySteps = `create state/sysupdate-image/kernels.tmp
write state/sysupdate-image/kernels.tmp
sync state/sysupdate-image/kernels.tmp
rename state/sysupdate-image/kernels.tmp state/sysupdate-image/kernels
sync state/sysupdate-image/kernels
sync state/sysupdate-image
boot: mkdir sysupdate-image/.new/BOOT-KERNEL
boot: syncfs
boot: sync .
boot: rename sysupdate-image/.new/BOOT-KERNEL sysupdate-image/KERNEL
boot: create sysupdate-image/KERNEL/vmlinuz
boot: write sysupdate-image/KERNEL/vmlinuz
boot: create sysupdate-image/KERNEL/initrd
boot: write sysupdate-image/KERNEL/initrd
mkdir state/deploy/THREE
mkdir state/deploy/THREE/etc
symlink ../../os/default/var state/deploy/THREE/var.tmp
rename state/deploy/THREE/var.tmp state/deploy/THREE/var
create state/deploy/THREE/THREE.origin.tmp
write state/deploy/THREE/THREE.origin.tmp
rename state/deploy/THREE/THREE.origin.tmp state/deploy/THREE/THREE.origin
create state/sysupdate-image/entries.tmp
write state/sysupdate-image/entries.tmp
sync state/sysupdate-image/entries.tmp
rename state/sysupdate-image/entries.tmp state/sysupdate-image/entries
sync state/sysupdate-image/entries
sync state/sysupdate-image
boot: create loader/entries/sysupdate-image-000003-THREE+3-0.conf.staged
boot: write loader/entries/sysupdate-image-000003-THREE+3-0.conf.staged
boot: syncfs
boot: sync .
syncfs
`
	// Once the record is there, finalize finds the work, whatever happens.
	stageSteps = deploySteps + `sync .
sync state
create state/sysupdate-image/staged.json.tmp
write state/sysupdate-image/staged.json.tmp
sync state/sysupdate-image/staged.json.tmp
rename state/sysupdate-image/staged.json.tmp state/sysupdate-image/staged.json
sync state/sysupdate-image/staged.json
sync state/sysupdate-image
`
	// The rename is the commit. The copy of /etc, before the last syncfs, is etcmerge's. The
	// boots are counted before there can be one.
	publishSteps = deploySteps + `create state/deploy/THREE/boot-attempts.tmp
write state/deploy/THREE/boot-attempts.tmp
sync state/deploy/THREE/boot-attempts.tmp
rename state/deploy/THREE/boot-attempts.tmp state/deploy/THREE/boot-attempts
sync state/deploy/THREE/boot-attempts
sync state/deploy/THREE
boot: create sysupdate-image/.new/BOOT-sysupdate-image-000003-THREE+3-0.conf
boot: write sysupdate-image/.new/BOOT-sysupdate-image-000003-THREE+3-0.conf
boot: sync sysupdate-image/.new/BOOT-sysupdate-image-000003-THREE+3-0.conf
boot: rename sysupdate-image/.new/BOOT-sysupdate-image-000003-THREE+3-0.conf loader/entries/sysupdate-image-000003-THREE+3-0.conf
boot: sync loader/entries/sysupdate-image-000003-THREE+3-0.conf
boot: sync loader/entries
boot: remove loader/entries/sysupdate-image-000003-THREE+3-0.conf.staged
boot: sync loader/entries
create state/sysupdate-image/history.jsonl.tmp
write state/sysupdate-image/history.jsonl.tmp
sync state/sysupdate-image/history.jsonl.tmp
rename state/sysupdate-image/history.jsonl.tmp state/sysupdate-image/history.jsonl
sync state/sysupdate-image/history.jsonl
sync state/sysupdate-image
`
	// What is not needed goes: entries, kernels, the records of both, state.
	rmSteps = `remove state/sysupdate-image/pins/ONE
sync state/sysupdate-image/pins
remove state/deploy/TWO/boot-attempts
sync state/deploy/TWO
boot: remove loader/entries/sysupdate-image-000001-ONE.conf
boot: sync loader/entries
boot: remove sysupdate-image/KERNEL/initrd
boot: remove sysupdate-image/KERNEL/vmlinuz
boot: remove sysupdate-image/KERNEL
boot: sync sysupdate-image
create state/sysupdate-image/entries.tmp
write state/sysupdate-image/entries.tmp
sync state/sysupdate-image/entries.tmp
rename state/sysupdate-image/entries.tmp state/sysupdate-image/entries
sync state/sysupdate-image/entries
sync state/sysupdate-image
create state/sysupdate-image/kernels.tmp
write state/sysupdate-image/kernels.tmp
sync state/sysupdate-image/kernels.tmp
rename state/sysupdate-image/kernels.tmp state/sysupdate-image/kernels
sync state/sysupdate-image/kernels
sync state/sysupdate-image
remove state/deploy/ONE/ONE.origin
remove state/deploy/ONE/etc/upper/mine
remove state/deploy/ONE/etc/upper
remove state/deploy/ONE/etc
remove state/deploy/ONE/var
remove state/deploy/ONE
`
	pinSteps = `sync .
sync state
mkdir state/sysupdate-image/pins
sync state/sysupdate-image
create state/sysupdate-image/pins/TWO.tmp
write state/sysupdate-image/pins/TWO.tmp
sync state/sysupdate-image/pins/TWO.tmp
rename state/sysupdate-image/pins/TWO.tmp state/sysupdate-image/pins/TWO
sync state/sysupdate-image/pins/TWO
sync state/sysupdate-image/pins
`
	// A record of a failed boot is written before the entry that tells of it may go.
	failureSteps = `sync .
sync state
mkdir state/sysupdate-image/boot-failures
sync state/sysupdate-image
create state/sysupdate-image/boot-failures/TWO.json.tmp
write state/sysupdate-image/boot-failures/TWO.json.tmp
sync state/sysupdate-image/boot-failures/TWO.json.tmp
rename state/sysupdate-image/boot-failures/TWO.json.tmp state/sysupdate-image/boot-failures/TWO.json
sync state/sysupdate-image/boot-failures/TWO.json
sync state/sysupdate-image/boot-failures
`
	// The record that the machine went down without finalizing goes first; there is
	// none here.
	unstageSteps = `sync state/sysupdate-image
remove state/sysupdate-image/staged.json
sync state/sysupdate-image
boot: remove loader/entries/sysupdate-image-000003-THREE+3-0.conf.staged
boot: sync loader/entries
`
)
