// Package updateconfig reads update.toml, which says what a machine demands of updates, and
// how long a boot on trial may take. It hides which of the files counts.
package updateconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/timespan"
	"github.com/sysupdate-image/sysupdate-image/internal/image/tomlfile"
)

// Configuration files, relative to the root: the administrator's, and that of
// the image. Each key comes from the first file that has it.
const (
	Etc = "etc/sysupdate-image/update.toml"
	Usr = "usr/lib/sysupdate-image/update.toml"
)

// What Require may demand of an image.
const (
	Signed = "signed"
	Sealed = "sealed"
)

// A Config is what the files say. They are TOML:
//
//	keep = 1                  # deployments that stay besides those that are needed; default 0
//	require = "signed"        # of images that nobody named; or "sealed"; default neither
//	allow-downgrade = false   # to such an image that is older than the deployed one; default true
//	reboot = "kexec"          # how apply --reboot does it; default "firmware"
//	bless-after-kexec = true  # a boot by kexec proves an image; default false
//	gzip = "library"          # the decoder for layers; default "built-in"
//	boot-timeout = "15min"    # for a boot on trial to be complete
//	check-timeout = "2min"    # for each check of a boot
type Config struct {
	Keep           *int    `toml:"keep"`
	Require        *string `toml:"require"`
	AllowDowngrade *bool   `toml:"allow-downgrade"`
	Reboot         *string `toml:"reboot"`
	BlessKexec     *bool   `toml:"bless-after-kexec"`
	Gzip           *string `toml:"gzip"`
	Times
}

// What Reboot may say.
const (
	ByFirmware   = "firmware"
	ByKexec      = "kexec"       // where that is possible
	BySoftReboot = "soft-reboot" // where that is possible
)

// What Gzip may say.
const (
	GzipBuiltIn = "built-in"
	GzipLibrary = "library"
)

// Times are the keys about time.
type Times struct {
	BootTimeout  *string `toml:"boot-timeout"`
	CheckTimeout *string `toml:"check-timeout"`
}

// MaxKeep bounds keep: more is a mistake.
const MaxKeep = 1000

// Parse reads a configuration file. A key that is not known is an error:
// what is misspelt would otherwise have no effect, and nobody would notice.
func Parse(text string) (Config, error) {
	var c Config
	meta, err := tomlfile.Decode(text, &c)
	if err != nil {
		return Config{}, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return Config{}, &UnknownKeyError{unknown[0].String()}
	}
	if c.Keep != nil && (*c.Keep < 0 || *c.Keep > MaxKeep) {
		return Config{}, fmt.Errorf("keep = %d: want 0 to %d", *c.Keep, MaxKeep)
	}
	if c.Require != nil && *c.Require != Signed && *c.Require != Sealed {
		return Config{}, fmt.Errorf("require = %q: want %q or %q", *c.Require, Signed, Sealed)
	}
	if c.Reboot != nil && *c.Reboot != ByFirmware && *c.Reboot != ByKexec && *c.Reboot != BySoftReboot {
		return Config{}, fmt.Errorf("reboot = %q: want %q, %q or %q", *c.Reboot, ByFirmware, ByKexec, BySoftReboot)
	}
	if c.Gzip != nil && *c.Gzip != GzipBuiltIn && *c.Gzip != GzipLibrary {
		return Config{}, fmt.Errorf("gzip = %q: want %q or %q", *c.Gzip, GzipBuiltIn, GzipLibrary)
	}
	for _, key := range timeKeys {
		if _, err := key.of(c.Times); err != nil {
			return Config{}, err
		}
	}
	return c, nil
}

// An UnknownKeyError names a key that is not known.
type UnknownKeyError struct{ Key string }

func (e *UnknownKeyError) Error() string { return fmt.Sprintf("unknown key %q", e.Key) }

// under returns c with what it does not set from other.
func (c Config) under(other Config) Config {
	if c.Keep == nil {
		c.Keep = other.Keep
	}
	if c.Require == nil {
		c.Require = other.Require
	}
	if c.AllowDowngrade == nil {
		c.AllowDowngrade = other.AllowDowngrade
	}
	if c.Reboot == nil {
		c.Reboot = other.Reboot
	}
	if c.BlessKexec == nil {
		c.BlessKexec = other.BlessKexec
	}
	if c.Gzip == nil {
		c.Gzip = other.Gzip
	}
	return c
}

// Load reads those of the files that there are. read returns the content of one by its
// name.
func Load(read func(name string) ([]byte, error)) (Config, error) {
	var c Config
	for _, name := range []string{Etc, Usr} {
		text, err := read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Config{}, cannotRead(name, err)
		}
		more, err := Parse(string(text))
		if err != nil {
			return Config{}, cannotRead(name, err)
		}
		c = c.under(more)
	}
	return c, nil
}

func cannotRead(name string, err error) error {
	return fmt.Errorf("cannot read configuration /%s: %w", name, err)
}

// Limits are how long the parts of a boot may take.
type Limits struct {
	Boot  time.Duration // on trial, until it is complete
	Check time.Duration // for each check
}

// Defaults are the limits where no file says otherwise. The first boot of an image does
// what later ones need not, on slow machines too.
var Defaults = Limits{Boot: 15 * time.Minute, Check: 2 * time.Minute}

// timeKeys are the keys about time, each with where its value goes.
var timeKeys = []timeKey{
	{"boot-timeout", func(t Times) *string { return t.BootTimeout }, func(l *Limits) *time.Duration { return &l.Boot }},
	{"check-timeout", func(t Times) *string { return t.CheckTimeout }, func(l *Limits) *time.Duration { return &l.Check }},
}

type timeKey struct {
	name  string
	text  func(Times) *string
	limit func(*Limits) *time.Duration
}

// maxTime bounds the times: a machine that waits for longer might as well wait for ever.
const maxTime = 24 * time.Hour

// of returns the value of the key, 0 if it has none.
func (k timeKey) of(t Times) (time.Duration, error) {
	text := k.text(t)
	if text == nil {
		return 0, nil
	}
	d, err := timespan.Parse(*text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", k.name, err)
	}
	if d < time.Second || d > maxTime {
		return 0, fmt.Errorf("%s = %q: want 1s to %s", k.name, *text, "24h")
	}
	return d, nil
}

// KexecProves reports whether bless-after-kexec is true, for a program that a boot needs. What
// is wrong with a file counts as no; LoadLimits tells of it.
func KexecProves(read func(name string) ([]byte, error)) bool {
	for _, name := range []string{Etc, Usr} {
		var c struct {
			BlessKexec *bool `toml:"bless-after-kexec"`
		}
		text, err := read(name)
		if err == nil {
			_, err = tomlfile.Decode(string(text), &c)
		}
		if err == nil && c.BlessKexec != nil {
			return *c.BlessKexec
		}
	}
	return false
}

// LoadLimits reads the keys about time alone. It is for programs that a boot needs: what is
// wrong with a file is a warning, and does not keep valid keys from counting.
func LoadLimits(read func(name string) ([]byte, error)) (Limits, []error) {
	limits := Defaults
	var warnings []error
	found := make(map[string]bool)
	for _, name := range []string{Etc, Usr} {
		var t Times
		text, err := read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = tomlfile.Decode(string(text), &t)
		}
		if err != nil {
			warnings = append(warnings, cannotRead(name, err))
			continue
		}
		for _, key := range timeKeys {
			d, err := key.of(t)
			if err != nil {
				warnings = append(warnings, cannotRead(name, err))
			}
			if d > 0 && !found[key.name] {
				*key.limit(&limits), found[key.name] = d, true
			}
		}
	}
	return limits, warnings
}
