// Package assemble makes a standalone initramfs: one program as its /init, the kernel
// modules that may be needed to find and mount a root, and their index. What is to go
// into it is planned first; writing decides nothing.
//
//	plan, err := assemble.NewPlan(source)
//	report, err := plan.Write(ctx, out)
package assemble

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/modules"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
)

// A Source is what an initramfs is made from.
type Source struct {
	Version  string // of the kernel, as uname(2) has it
	Modules  fs.FS  // /usr/lib/modules/VERSION
	Root     fs.FS  // the root of the system
	Machine  fs.FS  // the root of a running system whose devices decide on the modules; nil for the generic set
	Modified time.Time
}

// A Plan is what goes into an initramfs.
type Plan struct {
	source      Source
	Modules     []modules.Module // by path
	index       map[string][]byte
	files       []file
	Compression Compression
}

// A file is one that is copied.
type file struct {
	name    string
	perm    uint32
	content []byte
}

// Where the program is, and what tells that a system is in its initramfs.
const (
	program = rootconfig.Standalone
	release = "etc/initrd-release"
)

// NewPlan reads what is needed to know what goes into an initramfs. It is an error if what
// every boot needs is missing.
func NewPlan(src Source) (*Plan, error) {
	config, err := readKernelConfig(src)
	if err == nil {
		err = config.check(src.Version)
	}
	if err != nil {
		return nil, err
	}
	p := &Plan{source: src, Compression: config.compression()}
	if err := p.addFiles(); err != nil {
		return nil, err
	}
	index, err := modules.Read(src.Modules)
	if err != nil {
		return nil, err
	}
	some, types := devices, fileSystems
	if src.Machine != nil {
		if some, types, err = inUse(src.Machine); err != nil {
			return nil, fmt.Errorf("cannot find out which modules this machine uses: %w", err)
		}
	}
	if p.Modules, err = choose(index, src.Version, slices.Concat(always, some), types); err != nil {
		return nil, err
	}
	names := make([]string, len(p.Modules))
	for i, m := range p.Modules {
		names[i] = m.Name
	}
	p.index = index.Write(names, plainName)
	return p, nil
}

// addFiles reads the program and its configuration.
func (p *Plan) addFiles() error {
	content, err := bounded.ReadFile(p.source.Root, program, limits.Program)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the system has no program /%s", program)
	}
	if err != nil {
		return err
	}
	p.files = append(p.files, file{program, 0o755, content})
	for _, name := range []string{rootconfig.File, rootconfig.BootcFile} {
		if content, err = readIfThere(p.source.Root, name); err != nil {
			return err
		}
		if content != nil {
			p.files = append(p.files, file{name, 0o644, content})
		}
	}
	// That it exists is what counts. What it says is for people who look into it.
	if content, err = readIfThere(p.source.Root, "usr/lib/os-release"); err != nil {
		return err
	}
	p.files = append(p.files, file{release, 0o644, content})
	return nil
}

// readIfThere returns the content of a file, nil if it does not exist.
func readIfThere(fsys fs.FS, name string) ([]byte, error) {
	data, err := bounded.ReadFile(fsys, name, limits.Text)
	found, err := bounded.Found(err)
	if err == nil && found && data == nil {
		data = []byte{}
	}
	return data, err
}

// modulesDir returns where an initramfs has the modules of its kernel.
func (p *Plan) modulesDir() string { return "usr/lib/modules/" + p.source.Version }

// A MissingError reports that a kernel lacks what every boot needs.
type MissingError struct {
	Version string
	What    string   // such as "erofs file system"
	Index   []string // files of the index that do not exist
}

func (e *MissingError) Error() string {
	text := fmt.Sprintf("kernel %s has no %s, neither built in nor as a module", e.Version, e.What)
	if len(e.Index) > 0 {
		text += fmt.Sprintf(" (there is no %s: depmod(8) makes it)", strings.Join(e.Index, " and no "))
	}
	return text
}
