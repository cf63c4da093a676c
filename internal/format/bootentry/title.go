package bootentry

import "strings"

// Title returns what people call a system, in boot menus and elsewhere: "NAME (VERSION)",
// or the name alone for one without a version.
func Title(name, version string) string {
	if version == "" {
		return name
	}
	return name + " (" + version + ")"
}

// NameIn returns the name in a title that Title has made with the version.
func NameIn(title, version string) string { return strings.TrimSuffix(title, " ("+version+")") }
