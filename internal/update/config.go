package update

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
	"github.com/sysupdate-image/sysupdate-image/internal/image/updateconfig"
)

// A config is what update.toml says, with the defaults of what it does not.
type config struct{ updateconfig.Config }

// require returns what an image that no command names must be, "" if anything will do.
func (c config) require() string {
	if c.Require == nil {
		return ""
	}
	return *c.Require
}

// reboot returns how apply reboots the machine.
func (c config) reboot() string {
	if c.Config.Reboot == nil {
		return updateconfig.ByFirmware
	}
	return *c.Config.Reboot
}

// gzip returns the decoder for layers in that format, "" for the default.
func (c config) gzip() oci.Gzip {
	if c.Gzip == nil {
		return ""
	}
	return oci.Gzip(*c.Gzip)
}

func (c config) allowDowngrade() bool { return c.AllowDowngrade == nil || *c.AllowDowngrade }

// keep returns how many deployments stay that are not needed.
func (c config) keep() int {
	if c.Keep == nil {
		return 0
	}
	return *c.Keep
}

func loadConfig(read func(name string) ([]byte, error)) (config, error) {
	c, err := updateconfig.Load(read)
	return config{c}, err
}

// config returns the machine's configuration: what the running system has, or
// what the deployment would have that boots next.
func (m *Machine) config() (config, error) {
	if m.Booted != "" {
		return loadConfig(func(name string) ([]byte, error) { return bounded.ReadFile(m.Running, name, limits.Text) })
	}
	s, err := m.readState()
	id := nextServed(s)
	if id == "" { // the entry of what is staged is lost
		id = s.Current()
	}
	if err != nil || id == "" || m.Repository == nil {
		return config{}, err
	}
	if found, err := m.Repository.HasImage(string(id)); err != nil || !found {
		return config{}, err
	}
	tree, err := m.readPart(id, erofs.Paths(updateconfig.Usr, updateconfig.Etc))
	if err != nil {
		// Nothing goes that it may want to keep.
		m.warn(fmt.Errorf("%w; all deployments stay", err))
		keep := updateconfig.MaxKeep
		return config{updateconfig.Config{Keep: &keep}}, nil
	}
	image := system.Of(tree, m.Repository)
	return loadConfig(func(name string) ([]byte, error) {
		data, err := m.readLocal(id, name)
		if errors.Is(err, errFromImage) {
			return image.ReadPath(name)
		}
		return data, err
	})
}

// errFromImage says that a deployment has a file as its image has it.
var errFromImage = errors.New("as in the image")

// readLocal returns what is in a file of a deployment that does not run, where
// that is the machine's own.
func (m *Machine) readLocal(id deployment.ID, name string) ([]byte, error) {
	below, ok := strings.CutPrefix(name, "etc/")
	if !ok {
		return nil, errFromImage
	}
	kind, err := carry.OnDisk(m.Root, id)
	if err != nil {
		return nil, err
	}
	if kind == deployment.EtcBind {
		return bounded.ReadRoot(m.Root, id.EtcDir()+"/"+below, limits.Text)
	}
	upper := id.EtcUpper() + "/" + below
	switch info, err := m.Root.Lstat(upper); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errFromImage
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeCharDevice != 0: // a whiteout: it was removed here
		return nil, fs.ErrNotExist
	}
	return bounded.ReadRoot(m.Root, upper, limits.Text)
}
