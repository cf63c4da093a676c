package standalone

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/modules"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A loader loads kernel modules, each once. Several goroutines may use it: a driver that
// waits for its hardware keeps no other waiting.
type loader struct {
	dir     string // /usr/lib/modules/VERSION
	index   *modules.Index
	cmdline kcmdline.Cmdline
	denied  []string // modprobe.blacklist=
	log     *log
	insert  inserter

	mu    sync.Mutex
	loads map[string]*load // by the name of the module
}

// An inserter gives the kernel a module, as sys.LoadModule does.
type inserter func(f *os.File, parameters string, compressed bool) error

// A load is the loading of one module.
type load struct {
	done chan struct{} // closed when it is over
	err  error         // valid then
}

// newLoader returns the loader for a kernel whose modules are in dir. A directory that is
// missing has none: all may be built in.
func newLoader(dir string, cmdline kcmdline.Cmdline, insert inserter, log *log) (*loader, error) {
	index, err := modules.Read(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	l := &loader{dir: dir, index: index, cmdline: cmdline, loads: make(map[string]*load), insert: insert, log: log}
	for _, names := range cmdline.All("modprobe.blacklist") {
		l.denied = append(l.denied, strings.Split(modules.Canonical(names), ",")...)
	}
	return l, nil
}

// patience is how long a driver may keep those that were asked for at the same time waiting.
const patience = 30 * time.Second

// aliases loads the modules for several aliases at once, and waits until all are loaded. A
// driver that never comes back is left behind: the root may not need it.
func (l *loader) aliases(all ...string) {
	var wg sync.WaitGroup
	for _, alias := range all {
		wg.Go(func() { l.alias(alias) })
	}
	over := make(chan struct{})
	go func() { wg.Wait(); close(over) }()
	select {
	case <-over:
	case <-time.After(patience):
		l.log.warn("not waiting any longer for %s", strings.Join(l.loading(), ", "))
	}
}

// loading returns the names of the modules that are being loaded, sorted.
func (l *loader) loading() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for name, w := range l.loads {
		select {
		case <-w.done:
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// alias loads all modules for an alias: of the providers of an algorithm, the fast one may
// not fit this processor. That a module does not load is no error: the kernel has a reason
// for each, and a root that does not appear is reported with what is there.
func (l *loader) alias(alias string) {
	for _, name := range l.index.Lookup(alias) {
		if slices.Contains(l.denied, name) {
			continue
		}
		if err := l.module(name); err != nil {
			l.log.debug("%v", err)
		}
	}
}

// module loads a module with what it needs.
func (l *loader) module(name string) error {
	order, err := l.index.Order(name)
	if err != nil {
		return err
	}
	for _, m := range order {
		if err := l.once(m); err != nil {
			if m.Required {
				return fmt.Errorf("cannot load module %s: %w", name, err)
			}
			l.log.debug("%v", err)
		}
	}
	return nil
}

// once loads a module. If that has begun already, it waits until it is over.
func (l *loader) once(m modules.Module) error {
	l.mu.Lock()
	w, begun := l.loads[m.Name]
	if !begun {
		w = &load{done: make(chan struct{})}
		l.loads[m.Name] = w
	}
	l.mu.Unlock()
	if begun {
		<-w.done
		return w.err
	}
	defer close(w.done)
	w.err = l.load(m)
	return w.err
}

func (l *loader) load(m modules.Module) error {
	f, err := os.Open(filepath.Join(l.dir, m.Path))
	if err != nil {
		return err
	}
	defer f.Close()
	compressed := path.Ext(m.Path) != ".ko"
	err = l.insert(f, parameters(l.cmdline, m.Name), compressed)
	if errors.Is(err, sys.ErrModuleLoaded) {
		return nil
	}
	if compressed && errors.Is(err, sys.ErrInvalid) {
		return fmt.Errorf("this kernel cannot decompress it: %w", err)
	}
	return err
}

// parameters returns those that the kernel command line has for a module: NAME.KEY=VALUE,
// as modprobe(8) takes them.
func parameters(cmdline kcmdline.Cmdline, module string) string {
	var some kcmdline.Cmdline
	for _, arg := range cmdline {
		name, key, ok := strings.Cut(arg.Key, ".")
		if ok && key != "" && modules.Canonical(name) == module {
			some = append(some, kcmdline.Arg{Key: key, Value: arg.Value, HasValue: arg.HasValue})
		}
	}
	return some.String()
}

// fileSystems loads the modules of file systems.
func (l *loader) fileSystems(types ...string) {
	var all []string
	for _, fstype := range types {
		if len(l.index.Lookup("fs-"+fstype)) > 0 {
			fstype = "fs-" + fstype
		} // else there is no modules.alias
		all = append(all, fstype)
	}
	l.aliases(all...)
}

// needsLoop reports whether EROFS reads images from loop devices: before Linux 6.12 it has
// no other way.
func (l *loader) needsLoop() bool {
	var major, minor int
	if _, err := fmt.Sscanf(filepath.Base(l.dir), "%d.%d", &major, &minor); err != nil {
		return true
	}
	return major < 6 || major == 6 && minor < 12
}

// modprobeFile is what has the kernel's name for modprobe(8).
const modprobeFile = "/proc/sys/kernel/modprobe"

// answerKernel has the kernel start this program in place of modprobe(8), and returns what
// it would start else. A kernel that loads no modules, or has another way, is left alone.
func answerKernel() (before string) {
	data, err := bounded.ReadPath(modprobeFile, limits.Kernel)
	if err != nil {
		return ""
	}
	self, err := os.Executable()
	if err != nil || os.WriteFile(modprobeFile, []byte(self), 0) != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// modprobe loads the modules for an alias, as the kernel asks for them.
func modprobe(alias string) error {
	cmdline, err := kernelCmdline()
	if err != nil {
		return err
	}
	l, err := openLoader(cmdline, &log{})
	if err != nil {
		return err
	}
	if len(l.index.Lookup(alias)) == 0 {
		return fmt.Errorf("no module for %s", alias)
	}
	l.alias(alias)
	return nil
}
