package diff

import (
	"fmt"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
)

// TypeName returns what people call the type of a file.
func TypeName(n *tree.Node) string {
	switch n.Type() {
	case tree.TypeDir:
		return "directory"
	case tree.TypeSymlink:
		return "symbolic link"
	case tree.TypeChar:
		return "character device"
	case tree.TypeBlock:
		return "block device"
	case tree.TypeFIFO:
		return "FIFO"
	case tree.TypeSocket:
		return "socket"
	}
	return "file"
}

// device returns "major:minor" of a device.
func device(n *tree.Node) string {
	major, minor := n.Device()
	return fmt.Sprintf("%d:%d", major, minor)
}

func timeText(t tree.Time) string {
	return time.Unix(t.Sec, int64(t.Nsec)).UTC().Format("2006-01-02T15:04:05.999999999Z")
}

// String returns the change as one line: "+ path", "- path" or "~ path" and
// what changed.
func (c Change) String() string {
	switch c.Kind {
	case Added:
		return "+ " + pathOf(c.Path, c.New)
	case Removed:
		return "- " + pathOf(c.Path, c.Old)
	}
	words := make([]string, 0, len(c.What))
	for _, d := range c.What {
		words = append(words, d.String())
	}
	return "~ " + pathOf(c.Path, c.New) + "  " + strings.Join(words, ", ")
}

// pathOf returns a path that shows no more in a terminal than it says, with a
// slash behind that of a directory.
func pathOf(path string, n *tree.Node) string {
	if n.IsDir() && path != "/" {
		path += "/"
	}
	if quoted := fmt.Sprintf("%q", path); quoted != `"`+path+`"` {
		return quoted
	}
	return path
}

// String returns "mode 0644 -> 0755".
func (d Detail) String() string {
	from, to := d.Old, d.New
	switch d.Aspect {
	case "content":
		if *d.OldSize == *d.NewSize {
			return "content"
		}
		from, to = fmt.Sprint(*d.OldSize, " bytes"), fmt.Sprint(*d.NewSize, " bytes")
	case "target":
		from, to = quote(from), quote(to)
	case "xattr":
		switch {
		case from == "":
			return "xattr +" + d.Name + "=" + to
		case to == "":
			return "xattr -" + d.Name
		}
		return "xattr " + d.Name + " " + from + " -> " + to
	}
	return d.Aspect + " " + from + " -> " + to
}
