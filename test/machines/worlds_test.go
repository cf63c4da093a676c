package machines

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/vm"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// A world is a machine that cannot start, and what it says of that.
type world struct {
	name      string
	debugfs   []string // commands of debugfs(8) for the physical root; ID is the deployment's
	args      []string // further kernel arguments
	composefs string   // in place of the deployment's id
	config    string   // prepare-root.toml in the initramfs
	readOnly  bool
	want      string
}

var worlds = []world{
	{name: "no repository", debugfs: []string{"unlink composefs"}, want: "no repository on the physical root"},
	{name: "no image", debugfs: []string{"unlink composefs/images/ID"}, want: "the repository has no image ID"},
	{name: "image that is none", debugfs: []string{"unlink composefs/images/ID", "write /etc/hostname composefs/images/ID"}, want: "fs-verity"},
	{name: "no objects", debugfs: []string{"unlink composefs/objects"}, want: "the repository has no image ID"},
	{name: "no state", debugfs: []string{"unlink state/deploy/ID"}, want: "it has no state directory on the physical root"},
	{name: "another digest", composefs: strings.Repeat("a", 128), want: "it has no state directory on the physical root"},
	{name: "unknown digest", composefs: "md5:abc", want: "cannot find what to boot"},
	{name: "no erofs", args: []string{"initcall_blacklist=erofs_module_init"}, want: "erofs"},
	{name: "no overlay", args: []string{"initcall_blacklist=ovl_init"}, want: "overlay"},
	{name: "bad configuration", config: "etc = [", want: "prepare-root.toml"},
	{name: "read-only medium", readOnly: true, want: "cannot make the physical root writable"},
	{name: "no root device", args: []string{"root=LABEL=none", "rootwait=3"}, want: "cannot find the root file system: no device has LABEL=none after 3s"},
	{name: "no init", args: []string{"init=/nowhere"}, want: "the image has no program to start"},
}

// TestBrokenWorlds boots machines that cannot start: each says why, does what it was told to
// do then, and boots nothing else.
func TestBrokenWorlds(t *testing.T) {
	ctx := need(t)
	installer, err := disks.NewInstaller(ctx, vm.UML)
	if err != nil {
		t.Fatal(err)
	}
	from, err := installer.Boot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range worlds { // each shows its screen for five seconds
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cfg := installer.Installed(dir, filepath.Join(dir, "disk"), from.Disk)
			cfg.Disks = cfg.Disks[:1]
			if err := installer.Own(ctx, cfg.Disks[0].Path, from.Disk, "qcow2"); err != nil {
				t.Fatal(err)
			}
			w.boot(ctx, t, cfg)
		})
	}
}

// boot boots the world on a disk of its own.
func (w world) boot(ctx context.Context, t *testing.T, cfg vm.Config) {
	t.Helper()
	initrd, options, err := vm.Entry(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(options, func(arg string) bool { return strings.HasPrefix(arg, "composefs=") })
	if i < 0 {
		t.Fatalf("the boot entry has no composefs=: %q", options)
	}
	id := strings.TrimPrefix(options[i], "composefs=")
	if w.composefs != "" {
		options[i] = "composefs=" + w.composefs
	}
	for _, command := range w.debugfs {
		debugfs(ctx, t, cfg.Disks[0].Path, strings.ReplaceAll(command, "ID", id))
	}
	if w.config != "" {
		prepend(t, initrd, "usr/lib/sysupdate-image/prepare-root.toml", w.config)
	}
	cfg.Disks[0].ReadOnly = w.readOnly
	cfg.Initrd = initrd
	cfg.Cmdline = strings.Join(append(append(options, "sysupdate-image.on-failure=poweroff"), w.args...), " ")
	m := vm.Launch(ctx, t, cfg)
	if err := m.WaitOff(ctx); err != nil {
		t.Fatal(err)
	}
	console := m.Console()
	contains(t, "the console", console, "This system cannot start:", strings.ReplaceAll(w.want, "ID", id), "The machine is switched off in 5 seconds.")
	for _, text := range []string{"starting /", "Kernel panic"} {
		if strings.Contains(console, text) {
			t.Errorf("the console says %q:\n%s", text, console)
		}
	}
}

// debugfs changes the physical root of an installed disk behind everybody's back.
func debugfs(ctx context.Context, t *testing.T, disk, command string) {
	t.Helper()
	offset, err := vm.RootOffset(ctx, disk)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(ctx, "debugfs", "-w", "-R", command, fmt.Sprintf("%s?offset=%d", disk, offset)).CombinedOutput()
	if err != nil || strings.Count(string(out), "\n") > 1 && !strings.Contains(string(out), "Allocated inode") {
		t.Fatalf("debugfs %s: %v\n%s", command, err, out)
	}
}

// prepend puts an archive with a file before those of an initramfs, which has no such file.
func prepend(t *testing.T, initrd, name, content string) {
	t.Helper()
	root := t.TempDir()
	file := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-ec", `find usr | cpio --quiet --create --format=newc > "$1.new" && cat "$1" >> "$1.new" && mv "$1.new" "$1"`, "sh", initrd)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
