package lint

import (
	"strings"
	"testing"
)

func TestUnitOptions(t *testing.T) {
	const text = "# c\n[Service]\nExecStart=/bin/a \\\n# c\n; c\n  b\n\nReadWritePaths = /x\nnothing\nKey=\n"
	want := []unitOption{
		{line: 3, key: "ExecStart", value: "/bin/a  b"}, {line: 8, key: "ReadWritePaths", value: "/x"}, {line: 10, key: "Key"},
	}
	got := unitOptions(text)
	if len(got) != len(want) {
		t.Fatalf("unitOptions() = %+v; want %+v", got, want)
	}
	for i, o := range got {
		if o != want[i] {
			t.Errorf("option %d is %+v; want %+v", i, o, want[i])
		}
	}
}

func TestWritesUsr(t *testing.T) {
	for text, want := range map[string]string{
		"ExecStart=/usr/bin/touch /usr/x":                                  "writes to /usr/x",
		"ExecStart=-/bin/cp /usr/share/x /etc/x":                           "",
		"ExecStart=/bin/cp /etc/x /usr/share/x":                            "writes to /usr/share/x",
		"ExecStart=/bin/sh -c 'cat /usr/x > /run/x'":                       "",
		"ExecStart=/bin/sh -c 'true; date >> /usr/lib/x'":                  "/usr/lib/x",
		"ExecStart=/bin/bash -ec \"true && rm -f /usr/lib/x\"":             "writes to /usr/lib/x",
		"ExecStart=/usr/bin/sed -i s/a/b/ /usr/lib/x":                      "writes to /usr/lib/x",
		"ExecStart=/usr/bin/sed s/a/b/ /usr/lib/x":                         "",
		"ExecStart=/usr/sbin/dkms autoinstall --verbose":                   "changes the system",
		"ExecStart=/usr/bin/dnf makecache --timer":                         "",
		"ExecStart=/usr/sbin/depmod -a":                                    "changes the system",
		"ExecStart=/bin/sh -c \"cp /etc/x /usr/lib/y 2>/dev/null\"":        "writes to /usr/lib/y",
		"ExecStart=/bin/sh -c \"cp /usr/lib/y /etc/x 2>&1\"":               "",
		"ExecStart=/bin/sh -e -c 'if true; then touch \"/usr/lib/y\"; fi'": "writes to /usr/lib/y",
		"ExecStart=/usr/bin/env LANG=C apt-get upgrade":                    "changes the system",
		"ExecStart=/usr/bin/timeout -k 5 60 apt-get -o A::B=c upgrade":     "changes the system",
		"ExecStart=/usr/bin/nice -n 19 /usr/bin/touch /var/x":              "",
		"ExecStart=/bin/mv /usr/lib/a /var/b":                              "writes to /usr/lib/a",
		"ExecStart=/bin/cp -t /usr/lib a":                                  "writes to /usr/lib",
		"ExecStart=/bin/cp -t /var/lib /usr/lib/a":                         "",
		"ExecStart=/usr/bin/install -m 644 /usr/share/a /etc/a":            "",
		"ExecStart=/usr/bin/rpm -q -i foo":                                 "",
		"ExecStart=/usr/bin/rpm -qi foo":                                   "",
		"ExecStart=/usr/bin/rpm -Uvh foo.rpm":                              "changes the system",
		"ExecStart=/usr/bin/pacman -Sy":                                    "",
		"ExecStart=/usr/bin/pacman -Syu --noconfirm":                       "changes the system",
		"ExecStart=/usr/bin/pip list install":                              "",
		"ExecStart=/usr/bin/pip --quiet install x":                         "changes the system",
		"ExecStart=/usr/bin/rsync -a /srv/a /var/b --exclude /usr/foo":     "",
		"ExecStart=/usr/bin/rsync -a /srv/a /usr/lib/b --exclude /srv/foo": "writes to /usr/lib/b",
		"ExecCondition=/usr/bin/touch /usr/x":                              "writes to /usr/x",
		"ExecStart=/usr/bin/touch /lib/modules":                            "writes to /lib/modules",
		"ExecStart=/usr/bin/touch /library/x":                              "",
		"ExecStart=/usr/bin/dd if=/dev/zero of=/usr/lib/x":                 "writes to /usr/lib/x",
		"ExecStart=/usr/bin/dd if=/usr/lib/x of=/var/x":                    "",
		"ExecStart=/usr/bin/tar -C /usr/lib -xf /var/x.tar":                "writes to /usr/lib",
		"ExecStart=/usr/bin/tar xzf /var/x.tar --directory=/usr/lib":       "writes to /usr/lib",
		"ExecStart=/usr/bin/tar -C /usr/lib -cf /var/x.tar .":              "",
		"ExecStart=/usr/bin/tar czf /var/x.tar -C /usr/lib .":              "",
		"ExecStart=/usr/bin/curl -sS -o /usr/share/list https://a":         "writes to /usr/share/list",
		"ExecStart=\"unclosed":                                             "",
		"PIDFile=/usr/run/x.pid":                                           "PIDFile",
		"StandardOutput=append:/usr/log":                                   "StandardOutput",
		"StandardOutput=journal":                                           "",
		"ReadWritePaths=/var /usr/../srv":                                  "",
		"ReadWritePaths=\"/usr/lib/x\"":                                    "/usr/lib/x",
		"Environment=PATH=/usr/bin":                                        "",
	} {
		got := writesUsr(unitOptions(text)[0])
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("writesUsr(%s) = %q; want %q", text, got, want)
		}
	}
}

func TestDropInsFor(t *testing.T) {
	for name, want := range map[string]string{
		"a.service":       "a.service service",
		"a-b-c.service":   "a-b-c.service a-b-.service a-.service service",
		"a-b@c-d.service": "a-b@c-d.service a-@c-d.service service",
		"-.mount":         "-.mount -.mount mount",
	} {
		if got := strings.Join(dropInsFor([]string{name}), " "); got != want {
			t.Errorf("dropInsFor(%s) = %s; want %s", name, got, want)
		}
	}
}

func FuzzUnitOptions(f *testing.F) {
	f.Add("[Service]\nExecStart=/bin/sh -c 'date > /usr/x' \\\n; c\n b\nReadWritePaths=-/usr /x\n")
	f.Add("\\\n\\\n=")
	f.Fuzz(func(t *testing.T, text string) {
		most := strings.Count(text, "\n") + 1
		for _, o := range unitOptions(text) {
			if o.line < 1 || o.line > most || strings.Contains(o.key, "\n") {
				t.Errorf("option %+v of %q", o, text)
			}
			writesUsr(o)
		}
	})
}
