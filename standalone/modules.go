package standalone

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/modules"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// A loader loads kernel modules, each once.
type loader struct {
	dir     string // /usr/lib/modules/VERSION
	index   *modules.Index
	cmdline kcmdline.Cmdline
	denied  []string // modprobe.blacklist=
	tried   map[string]bool
	log     *log
}

// newLoader returns the loader for a kernel whose modules are in dir. A directory that is
// missing has none: all may be built in.
func newLoader(dir string, cmdline kcmdline.Cmdline, log *log) (*loader, error) {
	index, err := modules.Read(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	l := &loader{dir: dir, index: index, cmdline: cmdline, tried: make(map[string]bool), log: log}
	for _, names := range cmdline.All("modprobe.blacklist") {
		l.denied = append(l.denied, strings.Split(modules.Canonical(names), ",")...)
	}
	return l, nil
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
		if l.tried[m.Name] {
			continue
		}
		l.tried[m.Name] = true
		if err := l.load(m); err != nil {
			if m.Required {
				return fmt.Errorf("cannot load module %s: %w", name, err)
			}
			l.log.debug("%v", err)
		}
	}
	return nil
}

func (l *loader) load(m modules.Module) error {
	f, err := os.Open(filepath.Join(l.dir, m.Path))
	if err != nil {
		return err
	}
	defer f.Close()
	compressed := path.Ext(m.Path) != ".ko"
	err = sys.LoadModule(f, parameters(l.cmdline, m.Name), compressed)
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

// fileSystem loads the module of a file system.
func (l *loader) fileSystem(fstype string) {
	if len(l.index.Lookup("fs-"+fstype)) > 0 {
		l.alias("fs-" + fstype)
		return
	}
	l.alias(fstype) // where there is no modules.alias
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
