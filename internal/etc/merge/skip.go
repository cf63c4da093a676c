package merge

import (
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// notRead begins the Payload of a directory of which nothing was read. What follows says
// why.
const notRead = "not read: "

// skip makes n a directory of which nothing was read, and says why.
func skip(n *tree.Node, why string) {
	n.Clear()
	n.SetPayload(notRead + why)
}

// isTooLarge reports whether a local file is too large to be read and copied.
func isTooLarge(size int64) bool { return limits.EtcFile.Check(size) != nil }

// isTooDeep reports whether a directory is so far down that it is not entered. What is
// below needs a path that the kernel takes, also where it is set aside after a conflict.
func isTooDeep(path string) bool {
	return limits.EtcDepth.Check(int64(strings.Count(path, "/"))) != nil || limits.EtcPath.Check(int64(len(path))) != nil
}

// isSkipped reports whether n is a directory of which nothing was read.
func isSkipped(n *tree.Node) bool {
	return n.IsDir() && strings.HasPrefix(n.Payload(), notRead)
}

// SkippedDirs returns the paths of the directories of a local tree that were not read.
func SkippedDirs(local *tree.Node) []string {
	var paths []string
	local.Walk(func(path string, n *tree.Node) {
		if isSkipped(n) {
			paths = append(paths, "/"+strings.Trim(path, "/"))
		}
	})
	return paths
}

// FillSkipped gives what base has to the directories of local that were not read, so that
// they count as unchanged. Where local comes from an overlay, FromUpper does so.
func FillSkipped(local, base *tree.Node) {
	for _, e := range local.Entries() {
		below := child(base, e.Name)
		switch {
		case below == nil || !below.IsDir() || !e.Node.IsDir():
		case isSkipped(e.Node):
			for _, b := range below.Entries() {
				e.Node.Set(b.Name, b.Node)
			}
		default:
			FillSkipped(e.Node, below)
		}
	}
}

// Skipped returns a warning for each file of a local tree that is too large to be
// compared, and for each directory that was not read. They begin with a path.
func Skipped(local *tree.Node) []string {
	var warnings []string
	local.Walk(func(path string, n *tree.Node) {
		var text string
		switch {
		case isSkipped(n):
			text = "local changes in this directory are not carried over (" + n.Payload()[len(notRead):] + ")"
		case n.IsRegular() && strings.HasPrefix(n.Payload(), localPayload) && isTooLarge(int64(n.Size)):
			text = "kept without a look at its content (" + limits.EtcFile.Exceeded().Error() + ")"
		default:
			return
		}
		warnings = append(warnings, "/"+strings.Trim(path, "/")+": "+text)
	})
	return warnings
}
