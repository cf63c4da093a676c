package boot

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A mount is a line of /proc/self/mountinfo, see proc_pid_mountinfo(5).
type mount struct {
	number string // of the block device: MAJOR:MINOR
	fstype string
	source string
}

// mounts returns what is mounted where; of several mounts at one place, the
// last, which hides the others.
func (m machine) mounts() (map[string]mount, error) {
	data, err := os.ReadFile(m.path("proc/self/mountinfo"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the mounts: %w", err)
	}
	return parseMountinfo(string(data)), nil
}

func parseMountinfo(text string) map[string]mount {
	mounts := make(map[string]mount)
	for line := range strings.Lines(text) {
		before, after, found := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !found || len(left) < 5 || len(right) < 2 {
			continue
		}
		mounts[unescape(left[4])] = mount{number: left[2], fstype: right[0], source: unescape(right[1])}
	}
	return mounts
}

// unescape undoes the octal escapes that the kernel writes for white space and
// backslashes.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
