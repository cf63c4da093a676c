// Package mountplan describes mounts in the formats that administrators know: planned ones as
// lines of fstab(5), existing ones as in proc_pid_mountinfo(5). It hides how these files
// escape special characters.
package mountplan

import (
	"fmt"
	"strconv"
	"strings"
)

// A Mount says what to mount where, in the terms of fstab(5).
type Mount struct {
	What, Where, Type string
	Options           []string // as for mount(8); none means "defaults"
}

// A Plan is a list of mounts, in the order in which to make them.
type Plan []Mount

// String returns the mount as a line of fstab(5), without a line break.
func (m Mount) String() string {
	options := strings.Join(m.Options, ",")
	return strings.Join([]string{
		field(m.What, "none"), field(m.Where, "none"), field(m.Type, "none"), field(options, "defaults"), "0", "0",
	}, " ")
}

// String returns the plan as fstab(5), a line for each mount.
func (p Plan) String() string {
	var b strings.Builder
	for _, m := range p {
		b.WriteString(m.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// field escapes what would end a field or begin a comment, as getmntent(3)
// reads it back, and puts fallback in place of an empty field.
func field(s, fallback string) string {
	if s == "" {
		return fallback
	}
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c == '\\', c == 0x7f, c == '#' && i == 0:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// A Mounted is a mount that is there, a line of /proc/PID/mountinfo.
type Mounted struct {
	ID, Parent   int
	Device       string // major:minor
	Root         string // directory of the file system that is mounted
	Where        string // mount point, as seen by the process
	Options      []string
	Type         string // file system type
	What         string // source
	SuperOptions []string
}

// ParseMountinfo reads the lines of /proc/PID/mountinfo in their order: of
// mounts at the same place, the last one is seen.
func ParseMountinfo(data string) ([]Mounted, error) {
	var all []Mounted
	for line := range strings.Lines(data) {
		m, err := parseMounted(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("mountinfo: line %q: %w", strings.TrimSuffix(line, "\n"), err)
		}
		all = append(all, m)
	}
	return all, nil
}

// At returns the mount that is seen at the path where.
func At(all []Mounted, where string) (Mounted, bool) {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Where == where {
			return all[i], true
		}
	}
	return Mounted{}, false
}

// Lowest returns the mount that was made first at the path where: others may hide it.
func Lowest(all []Mounted, where string) (Mounted, bool) {
	for _, m := range all {
		if m.Where == where {
			return m, true
		}
	}
	return Mounted{}, false
}

// Option returns the value of a file system's option such as "upperdir", and
// whether it is there. Only What, Root and Where are free of escapes; values of
// options are as the kernel prints them, less the escapes of mountinfo.
func (m Mounted) Option(name string) (string, bool) {
	for _, o := range m.SuperOptions {
		if key, value, _ := strings.Cut(o, "="); key == name {
			return value, true
		}
	}
	return "", false
}

// parseMounted reads "36 35 98:0 /root /where rw,noatime master:1 - ext3 /dev/x rw".
func parseMounted(line string) (Mounted, error) {
	before, after, ok := strings.Cut(line, " - ")
	left, right := strings.Split(before, " "), strings.Split(after, " ")
	// The source may be empty, and then there are two spaces in a row.
	if !ok || len(left) < 6 || len(right) != 3 {
		return Mounted{}, fmt.Errorf("want at least six fields, a dash and three more")
	}
	id, err := strconv.Atoi(left[0])
	if err != nil {
		return Mounted{}, fmt.Errorf("mount ID: %w", err)
	}
	parent, err := strconv.Atoi(left[1])
	if err != nil {
		return Mounted{}, fmt.Errorf("parent ID: %w", err)
	}
	return Mounted{
		ID: id, Parent: parent, Device: left[2],
		Root: unescape(left[3]), Where: unescape(left[4]), Options: options(left[5]),
		Type: unescape(right[0]), What: unescape(right[1]), SuperOptions: options(right[2]),
	}, nil
}

func options(s string) []string {
	list := strings.Split(s, ",")
	for i := range list {
		list[i] = unescape(list[i])
	}
	return list
}

// unescape undoes the \ooo of the kernel's mangle().
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
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
