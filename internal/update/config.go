package update

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/image/system"

	"github.com/sysupdate-image/sysupdate-image/internal/etc/carry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/image/tomlfile"
)

// Configuration files, relative to the root: the administrator's, and that of
// the image. Each key comes from the first file that has it.
const (
	configEtc = "etc/sysupdate-image/update.toml"
	configUsr = "usr/lib/sysupdate-image/update.toml"
)

// A config is what configuration files say about updates. They are TOML:
//
//	keep = 1                  # deployments that stay besides those that are needed; default 0
//	require = "signed"        # of images that nobody named; or "sealed"; default neither
//	allow-downgrade = false   # to such an image that is older than the deployed one; default true
type config struct {
	Keep           *int    `toml:"keep"`
	Require        *string `toml:"require"`
	AllowDowngrade *bool   `toml:"allow-downgrade"`
}

// maxKeep bounds keep: more is a mistake.
const maxKeep = 1000

// parseConfig reads a configuration file. A key that is not known is an error:
// what is misspelt would otherwise have no effect, and nobody would notice.
func parseConfig(text string) (config, error) {
	var c config
	meta, err := tomlfile.Decode(text, &c)
	if err != nil {
		return config{}, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return config{}, fmt.Errorf("unknown key %q", unknown[0].String())
	}
	if c.Keep != nil && (*c.Keep < 0 || *c.Keep > maxKeep) {
		return config{}, fmt.Errorf("keep = %d: want 0 to %d", *c.Keep, maxKeep)
	}
	if r := c.require(); c.Require != nil && r != requireSigned && r != requireSealed {
		return config{}, fmt.Errorf("require = %q: want %q or %q", r, requireSigned, requireSealed)
	}
	return c, nil
}

// under returns c with what it does not set from other.
func (c config) under(other config) config {
	if c.Keep == nil {
		c.Keep = other.Keep
	}
	if c.Require == nil {
		c.Require = other.Require
	}
	if c.AllowDowngrade == nil {
		c.AllowDowngrade = other.AllowDowngrade
	}
	return c
}

// require returns what an image that no command names must be, "" if anything will do.
func (c config) require() string {
	if c.Require == nil {
		return ""
	}
	return *c.Require
}

func (c config) allowDowngrade() bool { return c.AllowDowngrade == nil || *c.AllowDowngrade }

// keep returns how many deployments stay that are not needed.
func (c config) keep() int {
	if c.Keep == nil {
		return 0
	}
	return *c.Keep
}

// loadConfig reads those of the files that there are. read returns the content
// of one by its name.
func loadConfig(read func(name string) ([]byte, error)) (config, error) {
	var c config
	for _, name := range []string{configEtc, configUsr} {
		text, err := read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return config{}, fmt.Errorf("cannot read configuration /%s: %w", name, err)
		}
		more, err := parseConfig(string(text))
		if err != nil {
			return config{}, fmt.Errorf("cannot read configuration /%s: %w", name, err)
		}
		c = c.under(more)
	}
	return c, nil
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
	tree, err := m.readImage(id)
	if err != nil {
		// Nothing goes that it may want to keep.
		m.warn(fmt.Errorf("%w; all deployments stay", err))
		keep := maxKeep
		return config{Keep: &keep}, nil
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
