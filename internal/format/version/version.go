// Package version holds the version that the build sets.
package version

// Version is the release, set with -ldflags -X by the Makefile.
var Version = "unknown"
