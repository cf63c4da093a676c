package main

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// runs checks which version the machine has booted.
func (m *machine) runs(version string) {
	m.Show("cat /etc/motd && grep ^IMAGE_VERSION= /etc/os-release", "IMAGE_VERSION="+version+"\n")
}

// kept checks that what was changed on the machine is still so.
func (m *machine) kept() {
	m.Show("cat /etc/hostname /var/lib/precious", "tower", "precious data")
}

// strict checks that the kernel verifies what it reads, and will when it boots what
// the boot partition has.
func (m *machine) strict() {
	m.Show("grep -o 'composefs=[^ ]*' /proc/cmdline && ! grep -q 'composefs=?' /proc/cmdline")
	m.Show("findmnt --noheadings --output SOURCE,OPTIONS /", "verity=require")
	m.Show(onESP+`tail -n +1 loader/entries/*; ! grep -q 'composefs=?' loader/entries/*`, "composefs=")
}

// onESP begins a script that looks at the boot partition.
const onESP = "mount /dev/disk/by-partlabel/esp /mnt && trap 'cd / && umount /mnt' EXIT && cd /mnt && "

// blessed checks that the boot counts as good: the entry that was booted has lost
// its counter.
func (m *machine) blessed() {
	m.Show("systemctl is-active boot-complete.target", "active")
	m.Show(onESP + "ls loader/entries && ! ls loader/entries | grep -q +")
}

// kernels checks how many kernels are on the boot partition.
func (m *machine) kernels(count int) {
	m.Show(onESP+"find . -name vmlinuz -o -name linux && find . -name vmlinuz -o -name linux | wc -l", fmt.Sprintf("\n%d\n", count))
}

// host is what both programs say about a machine in JSON.
type host struct {
	Status struct {
		Booted, Rollback *struct {
			Image     map[string]any
			Composefs map[string]any
		}
	}
}

// agree checks that our status is one of those that bootc's schema allows, and says
// of what is booted and of the rollback what bootc says.
func (m *machine) agree() {
	if m.Err != nil {
		return
	}
	var hosts [2]host
	for i, command := range []string{"bootc status --format=json", "sysupdate-image status --json"} {
		text, err := m.Machine.Must(m.Ctx, command)
		if err == nil {
			err = json.Unmarshal([]byte(text), &hosts[i])
		}
		if err != nil {
			m.Err = fmt.Errorf("%s: %w", command, err)
			return
		}
		if problems := m.schema.Problems(text); len(problems) > 0 {
			m.Err = fmt.Errorf("%s: not as in bootc's schema: %q\n%s", command, problems, text)
			return
		}
	}
	if !reflect.DeepEqual(hosts[0], hosts[1]) {
		theirs, _ := json.Marshal(hosts[0])
		ours, _ := json.Marshal(hosts[1])
		m.Err = fmt.Errorf("status: bootc and we differ:\n%s\n%s", theirs, ours)
		return
	}
	m.Checks++
	m.Say("The JSON of both is as bootc's schema has it, and the same for what is booted and for the rollback:")
	for _, d := range []any{hosts[1].Status.Booted, hosts[1].Status.Rollback} {
		text, _ := json.Marshal(d)
		fmt.Fprintf(m.Out, "    %s\n", text)
	}
}
