package boot

import (
	"io/fs"
	"strconv"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
)

// leadingNumber returns the number that s begins with, 0 if there is none.
func leadingNumber(s string) int {
	end := 0
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(s[:end])
	if err != nil {
		return 0
	}
	return n
}

// LoaderInfo returns what the running machine's loader calls itself, "" if it
// does not say; root is the root of the running system.
func LoaderInfo(root fs.FS) string {
	info, err := bootcount.Text(root, "LoaderInfo")
	if err != nil {
		return ""
	}
	return info
}

// firstWithPreferred is the version of systemd-boot that knows LoaderEntryPreferred.
const firstWithPreferred = 260

// KnowsPreferred reports whether a loader, by what LoaderInfo returns, knows the setting
// that is like the default and skips entries that have used up their tries. One
// that does not say what it is may.
func KnowsPreferred(loaderInfo string) bool {
	version, ok := strings.CutPrefix(loaderInfo, "systemd-boot ")
	return !ok || leadingNumber(version) >= firstWithPreferred
}
