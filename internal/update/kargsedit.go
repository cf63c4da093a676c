package update

import (
	"errors"
	"os"
	"runtime"
	"slices"

	"github.com/sysupdate-image/sysupdate-image/internal/format/uki"
)

// ErrKargsOrder says that an administrator only changed the order of kernel arguments.
var ErrKargsOrder = errors.New("nothing was changed: kernel arguments keep their order")

// Editable returns the kernel arguments that an administrator can change: all but the one that
// names the deployment. Those of a sealed image cannot be changed: a *SealedKargsError.
func (k Kargs) Editable() (args []string, err error) {
	for _, a := range k.List {
		switch a.Source {
		case KargImage:
			return nil, &SealedKargsError{ID: k.ID}
		case KargDeployment:
		default:
			args = append(args, a.Arg)
		}
	}
	return args, nil
}

// EditedKargs returns the kernel arguments to add and to remove after somebody has edited a list
// of them.
func EditedKargs(before, after []string) (add, remove []string, err error) {
	add, remove = notIn(after, before), notIn(before, after)
	if len(add)+len(remove) == 0 && !slices.Equal(after, before) {
		return nil, nil, ErrKargsOrder
	}
	return add, remove, nil
}

// notIn returns the strings of a that b does not have.
func notIn(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// WriteAddon writes an addon with kernel arguments for this machine's architecture to a new file,
// and returns its command line. The addon is not signed.
func WriteAddon(name string, args []string) (cmdline string, err error) {
	c, err := changed(nil, args, nil)
	if err != nil {
		return "", err
	}
	addon, err := uki.Addon(c.String(), runtime.GOARCH)
	if err != nil {
		return "", err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	_, err = file.Write(addon)
	if err := errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(name))
	}
	return c.String(), nil
}
