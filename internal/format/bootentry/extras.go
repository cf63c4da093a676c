package bootentry

import "strings"

// Beside a unified kernel image, systemd-stub reads addons, credentials and extensions from
// a directory of its own. See systemd-stub(7).

// extrasSuffix is what is added to the name of a unified kernel image for that directory.
const extrasSuffix = ".extra.d"

// extraSuffixes are how the names of what systemd-stub reads there end.
var extraSuffixes = []string{".addon.efi", ".cred", ".sysext.raw", ".confext.raw"}

// ExtrasOf returns the directory of the extras to the unified kernel image at a path.
func ExtrasOf(uki string) string { return uki + extrasSuffix }

// IsExtra reports whether systemd-stub reads a file of that name there.
func IsExtra(name string) bool {
	for _, suffix := range extraSuffixes {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
