package boot

import (
	"strconv"
	"strings"
)

// firstWithPreferred is the version of systemd-boot that knows LoaderEntryPreferred, which is
// like the default and skips entries that have used up their tries.
const firstWithPreferred = 260

// versionOfLoader returns the version of a systemd-boot by what it calls itself in the variable
// LoaderInfo, 0 for anything else.
func versionOfLoader(info string) int {
	version, ok := strings.CutPrefix(info, "systemd-boot ")
	if !ok {
		return 0
	}
	return leadingNumber(version)
}

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
