package mountplan

import "strings"

// ParseFstab reads the lines of fstab(5) as getmntent(3) does, which skips what
// it does not understand. Where of what is mounted nowhere, such as swap, is
// no absolute path.
func ParseFstab(data string) Plan {
	var p Plan
	for line := range strings.Lines(data) {
		f := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n", r) })
		if len(f) < 2 || f[0][0] == '#' {
			continue
		}
		m := Mount{What: unescape(f[0]), Where: unescape(f[1]), Type: "auto", Options: []string{"defaults"}}
		if len(f) > 2 {
			m.Type = unescape(f[2])
		}
		if len(f) > 3 {
			m.Options = options(f[3])
		}
		p = append(p, m)
	}
	return p
}
