package lint

import (
	"context"
	"fmt"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/sysusers"
)

// checkSysusers finds the users and groups that sysusers.d does not have.
func checkSysusers(_ context.Context, t *target) error {
	set, err := sysusers.Load(t.files, t.release)
	if err != nil {
		return err
	}
	for _, database := range []struct {
		name, what, line string
		known            map[string]bool
	}{
		{"etc/passwd", "user", "u %s - -", set.Users},
		{"etc/group", "group", "g %s -", set.Groups},
	} {
		names, err := t.accounts(database.name)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !database.known[name] {
				t.add(Finding{
					Path: "/" + database.name, What: fmt.Sprintf("%s %s is in no file of sysusers.d", database.what, name),
					Mend: fmt.Sprintf("Add a line such as %q to a file in /usr/lib/sysusers.d, or remove the %s.", fmt.Sprintf(database.line, name), database.what),
				})
			}
		}
	}
	return nil
}

// accounts returns the names in a file such as passwd(5).
func (t *target) accounts(name string) (names []string, err error) {
	text, _, err := t.files.text(name, limits.Accounts)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		name, _, ok := strings.Cut(line, ":")
		// Lines for nss_compat are not those of accounts.
		if ok && name != "" && !strings.ContainsAny(name[:1], "+-#") {
			names = append(names, name)
		}
	}
	return names, nil
}
