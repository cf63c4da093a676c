package assemble

import (
	"context"
	"errors"
	"io"
	"maps"
	"path"
	"runtime"
	"slices"
	"sync"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/initramfs"
)

// mountPoints are the empty directories of an initramfs.
var mountPoints = []string{"dev", "proc", "run", "sys", "sysroot", "tmp"}

// Write writes the initramfs. It ends early with ctx.
func (p *Plan) Write(ctx context.Context, w io.Writer) error {
	out, err := p.Compression.writer(w)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	archive := initramfs.NewWriter(out, p.source.Modified)
	for _, dir := range p.dirs() {
		archive.Dir(dir, 0o755)
	}
	archive.Symlink("init", program)
	archive.Device("dev/console", 0o600, 5, 1)
	archive.Device("dev/null", 0o666, 1, 3)
	for _, f := range p.files {
		archive.File(f.name, f.perm, f.content)
	}
	for _, name := range slices.Sorted(maps.Keys(p.index)) {
		archive.File(path.Join(p.modulesDir(), name), 0o644, p.index[name])
	}
	err = p.modules(ctx, func(name string, content []byte) {
		archive.File(path.Join(p.modulesDir(), name), 0o644, content)
	})
	return errors.Join(err, archive.Close(), out.Close())
}

// dirs returns all directories, each after the one that it is in.
func (p *Plan) dirs() []string {
	names := slices.Clone(mountPoints)
	add := func(name string) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			names = append(names, dir)
		}
	}
	for _, f := range p.files {
		add(f.name)
	}
	for _, m := range p.Modules {
		add(path.Join(p.modulesDir(), m.Path))
	}
	add(path.Join(p.modulesDir(), "modules.dep"))
	slices.Sort(names)
	return slices.Compact(names)
}

// modules gives the content of each module to add, in their order. They are decompressed
// at the same time, and before they are needed, but not much: all together are large.
func (p *Plan) modules(ctx context.Context, add func(name string, content []byte)) error {
	type result struct {
		content []byte
		err     error
	}
	results := make([]chan result, len(p.Modules))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	ahead := make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	defer workers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers.Go(func() {
		for i, m := range p.Modules {
			select {
			case ahead <- struct{}{}:
			case <-ctx.Done():
				return
			}
			workers.Go(func() {
				content, err := p.module(m.Path)
				results[i] <- result{content, err}
			})
		}
	})
	for i, m := range p.Modules {
		select {
		case r := <-results[i]:
			if r.err != nil {
				return r.err
			}
			add(plainName(m.Path), r.content)
			<-ahead
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// module returns the content of a module.
func (p *Plan) module(name string) ([]byte, error) {
	data, err := bounded.ReadFile(p.source.Modules, name, limits.Module)
	if err != nil {
		return nil, err
	}
	return unpack(name, data)
}
