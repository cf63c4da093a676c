package merge

import (
	"reflect"
	"strings"
	"testing"
)

var imageAccounts = Accounts{
	"passwd":  []byte("root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/sbin/nologin\ncore:x:1001:1001::/home/core:/bin/sh\n"),
	"group":   []byte("root:x:0:\nsudo:x:27:core\nusers:x:100:\ncore:x:1001:\n"),
	"shadow":  []byte("root:!:1::::::\ndaemon:*:1::::::\ncore:!:1::::::\n"),
	"gshadow": []byte("root:*::\nsudo:*::core\ncore:!::\n"),
}

func TestTakeOver(t *testing.T) {
	other := Accounts{
		"passwd": []byte("root:x:0:0:root:/root:/bin/bash\nsshd:x:990:990::/run:/sbin/nologin\nnobody:x:65534:65534::/:/sbin/nologin\n" +
			"alice:x:1000:1000:Alice:/home/alice:/bin/bash\ncore:x:1005:1005::/srv/core:/bin/zsh\n"),
		"group":   []byte("root:x:0:\nsudo:x:27:alice,sshd\nlxd:x:500:alice\nalice:x:1000:\nusers:x:100:\n"),
		"shadow":  []byte("root:$y$root:2::::::\nsshd:!:2::::::\nalice:$y$alice:2::::::\ncore:$y$core:2::::::\n"),
		"gshadow": []byte("sudo:*::alice\nalice:!::\n"),
		"subuid":  []byte("alice:100000:65536\nsshd:1:1\n"),
	}
	all, people, warnings, err := imageAccounts.TakeOver(other)
	if err != nil {
		t.Fatal(err)
	}
	want := Accounts{
		"passwd":  []byte(string(imageAccounts["passwd"]) + "alice:x:1000:1000:Alice:/home/alice:/bin/bash\n"),
		"group":   []byte("root:x:0:\nsudo:x:27:core,alice\nusers:x:100:\ncore:x:1001:\nalice:x:1000:\n"),
		"shadow":  []byte("root:$y$root:2::::::\ndaemon:*:1::::::\ncore:$y$core:2::::::\nalice:$y$alice:2::::::\n"),
		"gshadow": []byte("root:*::\nsudo:*::core,alice\ncore:!::\nalice:!::\n"),
		"subuid":  []byte("alice:100000:65536\n"),
		"subgid":  nil,
	}
	for name := range want {
		if string(all[name]) != string(want[name]) {
			t.Errorf("%s is\n%s; want\n%s", name, all[name], want[name])
		}
	}
	if want := []Person{{"alice", "/home/alice", "1000"}, {"core", "/home/core", "1001"}}; !reflect.DeepEqual(people, want) {
		t.Errorf("people %v; want %v", people, want)
	}
	if want := []string{"the image has no group lxd, in which alice was"}; !reflect.DeepEqual(warnings, want) {
		t.Errorf("warnings %q; want %q", warnings, want)
	}
}

func TestTakeOverRefuses(t *testing.T) {
	for want, other := range map[string]Accounts{
		`the image has "core" with the same ID 1001`:           {"passwd": []byte("bob:x:1001:100::/:/bin/sh\n"), "group": []byte("users:x:100:\n")},
		"does not have its group, with ID 50":                  {"passwd": []byte("bob:x:1002:50::/:/bin/sh\n"), "group": []byte("staff:x:50:\n")},
		"does not have its group, with ID 51":                  {"passwd": []byte("bob:x:1002:51::/:/bin/sh\n")},
		"its line in passwd has 4 fields":                      {"passwd": []byte("bob:x:1002:50\n")},
		`the image has a system user of that name, with ID 1`:  {"passwd": []byte("daemon:x:1003:100::/home/daemon:/bin/sh\n"), "group": []byte("users:x:100:\n")},
		`the image has their group "sudo" with another ID, 27`: {"passwd": []byte("bob:x:1003:1003::/home/bob:/bin/sh\n"), "group": []byte("sudo:x:1003:\n")},
		`cannot take over group "crew"`:                        {"group": []byte("crew:x:1001:\n")},
	} {
		if _, _, _, err := imageAccounts.TakeOver(other); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("TakeOver: %v; want %q", err, want)
		}
	}
}

// A root without a password does not take away the one that the image has.
func TestTakeOverLockedRoot(t *testing.T) {
	for _, password := range []string{"", "!", "*", "!*"} {
		all, _, _, err := imageAccounts.TakeOver(Accounts{"shadow": []byte("root:" + password + ":2::::::\n")})
		if err != nil || string(all["shadow"]) != string(imageAccounts["shadow"]) {
			t.Errorf("password %q: shadow is %q, %v", password, all["shadow"], err)
		}
	}
}

func FuzzTakeOver(f *testing.F) {
	f.Add(string(imageAccounts["passwd"]), string(imageAccounts["group"]), string(imageAccounts["shadow"]))
	f.Add("a:x:1000:1000::/:/bin/sh", "a:x:1000:a", ":")
	f.Add("::::\n#\n+\n", "x:::\n", "")
	f.Fuzz(func(t *testing.T, passwd, group, shadow string) {
		all, people, _, err := imageAccounts.TakeOver(Accounts{
			"passwd": []byte(passwd), "group": []byte(group), "shadow": []byte(shadow), "gshadow": []byte(group),
		})
		if err != nil {
			return
		}
		for name, data := range imageAccounts {
			have, had := parseRecords(all[name]), parseRecords(data)
			for _, key := range had.keys {
				if len(have.lines[key]) == 0 {
					t.Errorf("%s has lost %q", name, key)
				}
			}
		}
		for _, p := range people {
			if len(parseRecords(all["passwd"]).lines[p.Name]) == 0 {
				t.Errorf("passwd has no %q", p.Name)
			}
		}
	})
}
