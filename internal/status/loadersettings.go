package status

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// A loaderSetting makes the loader boot the first entry whose id matches a pattern.
type loaderSetting struct {
	name, pattern string
	assesses      bool // it skips entries that have used up their tries
}

// noteLoaderSettings notes what makes the loader boot another entry than the
// first: see LoaderEntryDefault in systemd-boot(7) and default in loader.conf(5).
func (g *gatherer) noteLoaderSettings() {
	for _, s := range g.loaderSettings() {
		i := slices.IndexFunc(g.m.Files, s.selects)
		if i < 0 {
			continue
		}
		if i > 0 || g.m.Staged != nil {
			g.status.Notes = append(g.status.Notes, fmt.Sprintf("%s overrides what boots next: the loader boots %s", s.name, g.m.Files[i].File))
		}
		return // those after it do not count
	}
}

func (s loaderSetting) selects(f boot.EntryFile) bool {
	ok, err := path.Match(strings.ToLower(s.pattern), f.Name.ID())
	return err == nil && ok && f.Bootable() && !(s.assesses && f.Name.Exhausted())
}

// loaderSettings returns what is set, the strongest first.
func (g *gatherer) loaderSettings() []loaderSetting {
	all := append(g.variable("LoaderEntryOneShot", false), g.preferred()...)
	return append(append(all, g.variable("LoaderEntryDefault", false)...), g.loaderConf("default", false)...)
}

// preferred returns the settings that systemd-boot knows since version 260.
func (g *gatherer) preferred() []loaderSetting {
	if g.sys.Running != nil && !boot.KnowsPreferred(boot.LoaderInfo(g.sys.Running)) {
		return nil
	}
	return append(g.variable("LoaderEntryPreferred", true), g.loaderConf("preferred", true)...)
}

// variable returns the setting in an EFI variable.
func (g *gatherer) variable(name string, assesses bool) []loaderSetting {
	if g.sys.Running == nil {
		return nil
	}
	pattern, err := bootcount.Text(g.sys.Running, name)
	if err != nil || pattern == "" {
		return nil
	}
	return []loaderSetting{{"EFI variable " + name, pattern, assesses}}
}

// loaderConf returns the setting in loader.conf(5), where the last line counts.
func (g *gatherer) loaderConf(key string, assesses bool) []loaderSetting {
	if !g.m.HasBoot {
		return nil
	}
	data, err := bounded.ReadRoot(g.sys.Boot.Root(), "loader/loader.conf", limits.Text)
	if key == "default" { // once is enough
		g.problem("loader.conf", err)
	}
	if pattern := lastSetting(string(data), key); pattern != "" {
		return []loaderSetting{{"loader.conf", pattern, assesses}}
	}
	return nil
}

// lastSetting returns the value of a key in loader.conf(5), "" if it is not there.
func lastSetting(text, key string) (value string) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == key {
			value = f[1]
		}
	}
	return value
}
