package inspect

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// A NamedChange is something with a name that only one of two images has, or not in the same
// way: Old is "" if it was added, New if it was removed.
type NamedChange struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// changesOf returns how the things old became those of now, by name.
func changesOf(old, now map[string]string) []NamedChange {
	changes := []NamedChange{}
	for _, name := range keysOf(old, now) {
		if old[name] != now[name] {
			changes = append(changes, NamedChange{name, old[name], now[name]})
		}
	}
	return changes
}

// keysOf returns the keys that either has, sorted.
func keysOf[V any](old, now map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(old)), maps.Keys(now))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// unitDirs are where links enable units, in the order of their importance.
var unitDirs = []string{"etc/systemd", "usr/lib/systemd"}

// unitsOf returns what the links of an image say of units, by scope and name: "system
// sshd.service" is "wanted by multi-user.target". An image that is built has no presets applied
// at boot, as /etc is not empty, so that links are all there is.
func unitsOf(root *tree.Node) map[string]string {
	units := make(map[string]string)
	for _, scope := range []string{"system", "user"} {
		found := make(map[string][]string)
		masked := make(map[string]bool)
		for _, base := range unitDirs {
			if dir := root.Lookup(base + "/" + scope); dir != nil {
				addUnits(dir, found, masked)
			}
		}
		for name, how := range found {
			slices.Sort(how)
			units[scope+" "+name] = strings.Join(slices.Compact(how), ", ")
		}
		for name := range masked {
			units[scope+" "+name] = "masked"
		}
	}
	return units
}

// dependencies are the directories of links, by what a unit is to the one that they belong to.
var dependencies = []struct{ suffix, word string }{
	{".wants", "wanted by"}, {".requires", "required by"}, {".upholds", "upheld by"},
}

func addUnits(dir *tree.Node, found map[string][]string, masked map[string]bool) {
	for _, e := range dir.Entries() {
		if e.Node.IsSymlink() {
			switch target := path.Base(e.Node.Target); {
			case e.Node.Target == "/dev/null":
				masked[e.Name] = true
			case target != e.Name:
				found[target] = append(found[target], "also called "+e.Name)
			}
			continue
		}
		for _, d := range dependencies {
			by, ok := strings.CutSuffix(e.Name, d.suffix)
			if !ok || !e.Node.IsDir() {
				continue
			}
			for _, unit := range e.Node.Entries() {
				if unit.Node.IsSymlink() && unit.Node.Target != "/dev/null" {
					found[unit.Name] = append(found[unit.Name], fmt.Sprintf("%s %s", d.word, by))
				}
			}
		}
	}
}
