package bootentry

import (
	"cmp"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// Unified kernel images have their command line inside, so that the entry's
// options do not say what they boot: their names do. bootc has them in one
// directory, we have a directory for each.
const (
	ukiSuffix = ".efi"
	bootcUKI  = "bootc_composefs-"
	ourUKIs   = "/sysupdate-image/"
)

// UKIName returns the file name that a unified kernel image of a deployment has
// in its directory below /sysupdate-image.
func UKIName(id deployment.ID) string { return string(id) + ukiSuffix }

// ukiFor returns which deployment a unified kernel image is for, by its path. ours says
// that it is where this program writes them.
func ukiFor(path string) (hex string, ours, ok bool) {
	path = "/" + strings.TrimLeft(strings.ReplaceAll(path, `\`, "/"), "/")
	stem, ok := strings.CutSuffix(path[strings.LastIndexByte(path, '/')+1:], ukiSuffix)
	hex, bootcs := strings.CutPrefix(stem, bootcUKI)
	ours = !bootcs && strings.HasPrefix(path, ourUKIs)
	return hex, ours, ok && (ours || bootcs)
}

// UnifiedImage returns the path of the unified kernel image or other EFI program that the
// entry boots, "" for a kernel. Under the key linux, the name tells the two apart.
func (e Entry) UnifiedImage() string {
	if _, _, ok := ukiFor(e.Linux); ok {
		return e.Linux
	}
	return cmp.Or(e.UKI, e.EFI)
}

// IsKernel reports whether the entry boots a kernel, which gets its initrds and options.
func (e Entry) IsKernel() bool { return e.Linux != "" && e.UnifiedImage() == "" }

// Countable returns the entry with the key linux for a unified kernel image that this
// program wrote: every loader counts the boots of such an entry. systemd-boot since 258
// does not for the key efi, and older ones do not know uki. bootc reads the other two only,
// so its images keep their key.
func (e Entry) Countable() Entry {
	image := cmp.Or(e.UKI, e.EFI)
	if _, ours, ok := ukiFor(image); ok && ours && e.Linux == "" {
		e.Linux, e.UKI, e.EFI = image, "", ""
	}
	return e
}
