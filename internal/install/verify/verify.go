// Package verify reads back what was installed on a disk, and says whether it would boot. It
// changes nothing: file systems are mounted read-only, where no other process sees them.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/install/device"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A Finding is something that was looked at.
type Finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Text string `json:"text"` // what was found, or what is wrong

	Warning bool `json:"warning,omitempty"` // it is not as it should be, and boots all the same
	Unknown bool `json:"unknown,omitempty"` // it could not be looked at
}

// A Report says whether a machine would boot.
type Report struct {
	Target   string        `json:"target"`
	Next     deployment.ID `json:"deployment,omitempty"` // that boots next
	Title    string        `json:"title,omitempty"`
	Findings []Finding     `json:"findings"`

	watcher repo.Watcher // of reading the repository
}

// Problems returns how many findings keep the machine from booting.
func (r *Report) Problems() (n int) {
	for _, f := range r.Findings {
		if !f.OK && !f.Unknown {
			n++
		}
	}
	return n
}

// Unknowns returns how many things could not be looked at.
func (r *Report) Unknowns() (n int) {
	for _, f := range r.Findings {
		if f.Unknown {
			n++
		}
	}
	return n
}

// add adds what was found, or the error that says what is wrong.
func (r *Report) add(what, text string, err error) {
	if err != nil {
		text = err.Error()
	}
	// What is refused to this process, or unknown to this kernel, says nothing of the machine.
	unknown := errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.ENODEV)
	r.Findings = append(r.Findings, Finding{What: what, OK: err == nil, Text: text, Unknown: unknown})
}

// warn adds what is not as it should be, and boots all the same.
func (r *Report) warn(what string, err error) {
	r.Findings = append(r.Findings, Finding{What: what, OK: true, Text: err.Error(), Warning: true})
}

// Run reads a disk, the image of one in a file, or a directory where a physical root is
// mounted. w is told how reading the repository goes, unless it is nil. An error says that it
// could not be read at all.
func Run(ctx context.Context, host machine.Host, target string, w repo.Watcher) (Report, error) {
	r := Report{Target: target, Findings: []Finding{}, watcher: w}
	info, err := os.Stat(target)
	if err != nil {
		return r, err
	}
	if info.IsDir() {
		return r, r.directory(ctx, machine.Place{Host: host, Dir: target})
	}
	if err := notRaw(target, info); err != nil {
		return r, err
	}
	d, err := device.Open(host.Root, target)
	if err != nil {
		return r, err
	}
	return r, errors.Join(r.disk(ctx, host, d), d.Close())
}

// otherFormats are those of disk images in which the disk is not as the machine sees it, by
// how their files begin.
var otherFormats = map[string]string{"QFI\xfb": "qcow2", "KDMV": "VMDK", "vhdx": "VHDX"}

// notRaw refuses the files of other formats: there is no telling what they have.
func notRaw(name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	begin := make([]byte, 4)
	if n, err := io.ReadFull(f, begin); err == nil && otherFormats[string(begin[:n])] != "" {
		return fmt.Errorf("%s: cannot read %s images: make a raw one with 'qemu-img convert -O raw'", name, otherFormats[string(begin)])
	}
	return nil
}

// directory looks at a machine whose file systems are mounted.
func (r *Report) directory(ctx context.Context, at machine.Place) error {
	system, err := machine.Open(at, machine.ToRead)
	if err != nil {
		return err
	}
	record := deployment.Loader{}
	if system.Sysroot != nil {
		record, _ = records.LoadLoader(system.Sysroot)
	}
	r.loader(system.Boot, system.Boot, record)
	if system.Sysroot != nil {
		r.unlooked(system)
	}
	r.machine(ctx, at.Dir, system, nil)
	return system.Close()
}

// count returns "1 object" or "3 objects".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
