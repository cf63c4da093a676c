package machines

import (
	"cmp"
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
)

const guide = "../../docs/operating.md"

// An instruction is what a command of the guide needs besides being typed.
type instruction struct {
	before   string // a script that makes the situation that the guide describes
	typed    string // the command, where that of the guide has a word to be replaced
	says     string // part of what it says
	restarts func(*vm.Machine, context.Context, string) error
	version  string // that runs after the restart
	where    string // the test that runs it instead
}

// instructions are for the commands that need any. Tests that have a disk to spare install
// one.
var instructions = map[string]instruction{
	"sysupdate-image install to-disk /dev/vda --image registry.example.org/os:stable --plan":            {where: "TestToDisk"},
	"sysupdate-image install to-disk /dev/vda --image registry.example.org/os:stable":                   {where: "TestToDisk"},
	"sysupdate-image install to-image disk.qcow2 --format qcow2 --image registry.example.org/os:stable": {where: "TestToImage"},
	"sysupdate-image install verify disk.raw":                                                           {where: "TestToDisk"},
	"mkfs.vfat -F 32 /dev/vda1":        {where: "every test"},
	"mkfs.ext4 -O verity /dev/vda2":    {where: "every test"},
	"mount /dev/vda2 /mnt":             {where: "every test"},
	"mount --mkdir /dev/vda1 /mnt/efi": {where: "every test"},
	"sysupdate-image install to-filesystem /mnt --esp /mnt/efi --image registry.example.org/os:stable": {where: "every test"},

	"sysupdate-image apply registry.example.org/os:stable":          {before: stableIs("v2"), says: "takes effect at the next reboot"},
	"sysupdate-image apply --reboot":                                {restarts: (*vm.Machine).RebootBy, version: "2"},
	"sysupdate-image apply --reboot --soft-reboot=auto":             {before: stableIs("v1"), restarts: (*vm.Machine).SoftRebootBy, version: "1"},
	"sysupdate-image apply --kexec":                                 {where: "TestKexec"},
	"sysupdate-image apply --download-only":                         {before: stableIs("v2")},
	"sysupdate-image apply --from-downloaded --reboot":              {restarts: (*vm.Machine).RebootBy, version: "2"},
	"sysupdate-image image diff --html rollback booted > diff.html": {typed: "cd /run && sysupdate-image image diff --html rollback booted > diff.html"},
	"sysupdate-image kargs edit":                                    {typed: "EDITOR=true sysupdate-image kargs edit"},
	"sysupdate-image status --watch":                                {typed: "timeout --signal=INT --preserve-status 3 sysupdate-image status --watch", says: "booted"},
	"sysupdate-image rollback DEPLOYMENT":                           {typed: "sysupdate-image rollback rollback"},
	"sysupdate-image rm DEPLOYMENT":                                 {typed: "sysupdate-image rm rollback"},
	"sysupdate-image usr-overlay --read-only":                       {before: "umount --lazy /usr"},
	"sysupdate-image etc diff":                                      {before: "echo local > /etc/motd", says: "+local"},
	"sysupdate-image etc reset PATH":                                {typed: "sysupdate-image etc reset /etc/motd"},
}

// stableIs makes an image of the machine's registry the stable one of the guide's.
func stableIs(tag string) string {
	return `mkdir -p /etc/containers/registries.conf.d
cat > /etc/containers/registries.conf.d/guide.conf <<'EOF'
[[registry]]
prefix = "registry.example.org/os:stable"
location = "127.0.0.1:5000/os:` + tag + `"
insecure = true
EOF
systemctl start test-registry`
}

// TestOperatingGuide types the commands of the guide to a machine, in its order.
func TestOperatingGuide(t *testing.T) {
	t.Parallel()
	ctx := needLong(t)
	m, _ := booted(ctx, t, vm.UML, "v1", "v2")
	commands := commandsOf(t, guide)
	for _, command := range commands {
		t.Log(command)
		follow(ctx, t, m, command, instructions[command])
	}
	for command := range instructions {
		if !slices.Contains(commands, command) {
			t.Errorf("the guide has no command %q any more", command)
		}
	}
}

var inGuide = regexp.MustCompile(`(?m)^    ([a-z][^#\n]*)`)

// commandsOf returns the commands of a document that stand in lines of their own.
func commandsOf(t *testing.T, document string) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range inGuide.FindAllStringSubmatch(string(text), -1) {
		commands = append(commands, strings.TrimSpace(m[1]))
	}
	return commands
}

// follow types a command as its instruction says.
func follow(ctx context.Context, t *testing.T, m *vm.Machine, command string, i instruction) {
	t.Helper()
	if i.where != "" {
		return
	}
	if i.before != "" {
		m.Do(ctx, t, i.before)
	}
	command = cmp.Or(i.typed, command)
	if i.restarts == nil {
		contains(t, command, m.Do(ctx, t, command+" 2>&1"), i.says)
		return
	}
	if err := i.restarts(m, ctx, command); err != nil {
		t.Fatal(err)
	}
	settled(ctx, t, m)
	if got := version(ctx, t, m); got != i.version {
		t.Fatalf("after %s version %s runs; want %s", command, got, i.version)
	}
}
