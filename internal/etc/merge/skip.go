package merge

import (
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// notEntered is the Payload of a directory of which nothing was read.
const notEntered = "not entered"

// isTooLarge reports whether a local file is too large to be read and copied.
func isTooLarge(size int64) bool { return limits.EtcFile.Check(size) != nil }

// isTooDeep reports whether a directory is so far down that it is not entered. What is
// below needs a path that the kernel takes, also where it is set aside after a conflict.
func isTooDeep(path string) bool {
	return limits.EtcDepth.Check(int64(strings.Count(path, "/"))) != nil || limits.EtcPath.Check(int64(len(path))) != nil
}

// Skipped returns a warning for each file of a local tree that is too large to be
// compared, and for each directory that was not entered. They begin with a path.
func Skipped(local *tree.Node) []string {
	var warnings []string
	local.Walk(func(path string, n *tree.Node) {
		switch {
		case n.IsDir() && n.Payload() == notEntered:
			warnings = append(warnings, fmt.Sprintf("/%s: the files in this directory are not carried over (%v, %v)",
				strings.Trim(path, "/"), limits.EtcDepth.Exceeded(), limits.EtcPath.Exceeded()))
		case n.IsRegular() && strings.HasPrefix(n.Payload(), localPayload) && isTooLarge(int64(n.Size)):
			warnings = append(warnings, fmt.Sprintf("/%s: kept without a look at its content (%v)", strings.Trim(path, "/"), limits.EtcFile.Exceeded()))
		}
	})
	return warnings
}
