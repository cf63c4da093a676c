// Package tomlfile reads configuration files in TOML. It hides that the decoder's time grows
// with the cube of the depth of nested tables: 64 KiB from an image could keep it busy for
// hours.
package tomlfile

import (
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// Decode is toml.Decode for a text within the limits.
func Decode(text string, into any) (toml.MetaData, error) {
	if err := check(text); err != nil {
		return toml.MetaData{}, err
	}
	return toml.Decode(text, into)
}

// check refuses what is deeper than any configuration. It counts what can begin
// another level, also where that is part of a string.
func check(text string) error {
	if err := limits.TOML.Check(int64(len(text))); err != nil {
		return err
	}
	if err := limits.TOMLLevels.Check(int64(strings.Count(text, "{"))); err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		if err := limits.TOMLLevels.Check(int64(strings.Count(line, "."))); err != nil {
			return err
		}
	}
	return nil
}
