package prepareroot

import (
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

// options are those of a mount, taken apart.
type options []option

type option struct {
	key, value string
	hasValue   bool
}

func parseOptions(list []string) options {
	var all options
	for _, s := range list {
		key, value, ok := strings.Cut(s, "=")
		all = append(all, option{key, value, ok})
	}
	return all
}

// has reports whether the option s is there, with its value if s has one.
func (o options) has(s string) bool {
	key, value, _ := strings.Cut(s, "=")
	for _, each := range o {
		if each.key == key && each.value == value {
			return true
		}
	}
	return false
}

// value returns the value of an option and whether it is there.
func (o options) value(key string) (string, bool) {
	for _, each := range o {
		if each.key == key {
			return each.value, each.hasValue
		}
	}
	return "", false
}

// flags returns the flags of a mount that the options have.
func (o options) flags() sys.MountAttr {
	var flags sys.MountAttr
	for _, f := range []struct {
		name string
		attr sys.MountAttr
	}{{optReadOnly, sys.ReadOnly}, {"nosuid", sys.NoSuid}, {"nodev", sys.NoDev}, {"noexec", sys.NoExec}} {
		if o.has(f.name) {
			flags |= f.attr
		}
	}
	return flags
}

// mountOptions returns the options as the kernel takes them, without those that
// are not the file system's, or whose value is a layer of an overlay.
func (o options) mountOptions() []sys.MountOption {
	var all []sys.MountOption
	for _, each := range o {
		switch {
		case each.key == optReadOnly, strings.HasPrefix(each.key, "x-"), isLayer(each.key):
		case each.hasValue:
			all = append(all, sys.MountString(each.key, each.value))
		default:
			all = append(all, sys.MountFlag(each.key))
		}
	}
	return all
}

// Options of overlay that name directories.
const (
	optLower = "lowerdir+"
	optData  = "datadir+"
	optUpper = "upperdir"
	optWork  = "workdir"
)

func isLayer(key string) bool {
	return key == optLower || key == optData || key == optUpper || key == optWork
}
