package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/format/sysusers"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
)

// accountsOf returns the users and groups of an image: "user web" is "uid 999, gid 999, shell
// /usr/sbin/nologin", or is made at boot, as sysusers.d says.
func accountsOf(fsys fs.FS) (map[string]string, error) {
	accounts := make(map[string]string)
	release, err := system.Release(fsys)
	if err != nil {
		return nil, err
	}
	set, err := sysusers.Load(fsys, release)
	if err != nil {
		return nil, err
	}
	for name := range set.Users {
		accounts["user "+name] = "by sysusers.d"
	}
	for name := range set.Groups {
		accounts["group "+name] = "by sysusers.d"
	}
	for _, dir := range []string{"usr/lib", "etc"} { // the latter counts
		for _, kind := range []string{"user", "group"} {
			if err := addAccounts(fsys, dir, kind, accounts); err != nil {
				return nil, err
			}
		}
	}
	return accounts, nil
}

// addAccounts adds what is in a file passwd(5) or group(5).
func addAccounts(fsys fs.FS, dir, kind string, accounts map[string]string) error {
	name := dir + "/" + map[string]string{"user": "passwd", "group": "group"}[kind]
	data, err := bounded.ReadFile(fsys, name, limits.Accounts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		switch {
		case f[0] == "" || strings.ContainsAny(f[0][:1], "+-#"): // of nss_compat
		case kind == "user" && len(f) >= 7:
			accounts["user "+f[0]] = fmt.Sprintf("uid %s, gid %s, shell %s", f[2], f[3], f[6])
		case kind == "group" && len(f) >= 4:
			accounts["group "+f[0]] = strings.TrimSuffix(fmt.Sprintf("gid %s, members %s", f[2], f[3]), ", members ")
		}
	}
	return nil
}
