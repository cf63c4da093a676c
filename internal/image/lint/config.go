package lint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/confd"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/sysusers"
	"github.com/sysupdate-image/sysupdate-image/internal/format/tmpfiles"
	"github.com/sysupdate-image/sysupdate-image/internal/image/installconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/image/kargs"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/image/updateconfig"
)

func checkKargs(_ context.Context, t *target) error {
	if _, err := kargs.Load(t.files, t.Arch); err != nil {
		t.find("/"+kargs.Dir, err.Error())
	}
	return nil
}

// Keys that configuration files may have, to suggest one for another.
var (
	updateKeys = []string{
		"keep", "require", "allow-downgrade", "reboot", "bless-after-kexec", "gzip", "boot-timeout", "check-timeout",
	}
	rootKeys = []string{"root.transient", "etc.mount", "etc.transient", "var.mount", "var.transient"}
)

// checkConfig finds what the programs that read a file would refuse.
func checkConfig(_ context.Context, t *target) error {
	for _, name := range []string{updateconfig.Etc, updateconfig.Usr} {
		text, found, err := t.files.text(name, limits.Text)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		_, err = updateconfig.Parse(text)
		if unknown := (*updateconfig.UnknownKeyError)(nil); errors.As(err, &unknown) {
			t.find("/"+name, unknown.Error()+suggest(unknown.Key, updateKeys))
		} else if err != nil {
			t.find("/"+name, err.Error())
		}
	}
	for _, name := range []string{rootconfig.File, rootconfig.BootcFile} {
		if _, _, err := rootconfig.Load(t.files, name); err != nil {
			t.find("/"+name, err.Error())
		}
	}
	if _, err := installconfig.Load(t.files, t.Arch); err != nil {
		t.add(Finding{Path: "/usr/lib/bootc/install", What: err.Error(), Why: "The image cannot be installed.", Mend: "Correct it."})
	}
	return nil
}

// checkConfigKeys finds keys that have no effect, and of which only the journal tells.
func checkConfigKeys(_ context.Context, t *target) error {
	for _, name := range []string{rootconfig.File, rootconfig.BootcFile} {
		_, warnings, err := rootconfig.Load(t.files, name)
		if err != nil {
			continue // see checkConfig
		}
		for _, w := range warnings {
			text := strings.TrimPrefix(w, name+": ")
			t.find("/"+name, text+suggest(text[strings.LastIndex(text, " ")+1:], rootKeys))
		}
	}
	return nil
}

// suggest returns what a misspelt key was most likely meant to be, "" if nothing is near.
func suggest(key string, known []string) string {
	best, least := "", 3 // changes of one character
	for _, k := range known {
		if d := distance(key, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance returns how many characters have to be added, removed or changed to make b of a.
func distance(a, b string) int {
	if len(a) > 100 {
		return len(a) // near nothing, and not worth the time
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// checkDropIns finds the lines of sysusers.d and tmpfiles.d that systemd would refuse.
func checkDropIns(_ context.Context, t *target) error {
	users, err := sysusers.Load(t.files, t.release)
	if err != nil {
		return err
	}
	made, err := tmpfiles.Load(t.files, t.release)
	if err != nil {
		return err
	}
	groups, err := t.known("group")
	if err != nil {
		return err
	}
	problems := append(users.Problems, users.Unmet(groups)...)
	people, err := t.known("passwd")
	if err != nil {
		return err
	}
	maps.Copy(people, users.Users)
	maps.Copy(groups, users.Groups)
	for _, some := range [][]confd.Problem{problems, made.Problems, made.Unmet(people, groups)} {
		for _, p := range some {
			t.add(Finding{Path: "/" + p.File, Line: p.Line, What: p.Err.Error()})
		}
	}
	return nil
}

// known returns the names in the files of users or groups, and those that systemd always knows.
func (t *target) known(file string) (map[string]bool, error) {
	known := map[string]bool{"root": true, "nobody": true, "nogroup": true}
	for _, dir := range []string{"etc", "usr/lib"} {
		names, err := t.accounts(path.Join(dir, file))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			known[name] = true
		}
	}
	return known, nil
}
