package grub

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/durable/durabletest"
)

// former makes a root with a GRUB, and a custom.cfg unless that is "".
func former(t *testing.T, custom string) (*os.Root, *Former) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("boot/grub/grub.cfg", "source ${config_directory}/custom.cfg\n")
	if custom != "" {
		write("boot/grub/custom.cfg", custom)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	f, err := FindFormer(root)
	if err != nil || f == nil || f.Dir != "boot/grub" {
		t.Fatalf("FindFormer = %v, %v", f, err)
	}
	return root, f
}

func customOf(t *testing.T, root *os.Root) string {
	t.Helper()
	data, err := root.ReadFile("boot/grub/custom.cfg")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestFormer(t *testing.T) {
	for _, custom := range []string{"", "set superusers=admin\n", "set superusers=admin"} {
		root, f := former(t, custom)
		changes := durable.OS(root)
		if err := f.SetFirst(changes, root, true); err == nil {
			t.Error("SetFirst without an entry succeeded")
		}
		var texts []string
		for _, change := range []func() error{
			func() error { return f.Enter(changes, root, "0A2B-3C4D", true) },
			func() error { return f.SetFirst(changes, root, false) },
			func() error { return f.SetFirst(changes, root, true) },
			func() error { return f.Enter(changes, root, "0A2B-3C4D", true) },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, customOf(t, root))
		}
		if texts[0] != texts[2] || texts[0] != texts[3] || strings.Contains(texts[1], "default") || !strings.Contains(texts[0], "default=sysupdate-image") {
			t.Errorf("custom.cfg becomes %q", texts)
		}
		if !strings.HasPrefix(texts[1], strings.TrimSpace(custom)) || strings.Count(texts[1], "0A2B-3C4D") != 1 {
			t.Errorf("custom.cfg is %q; want %q before the entry", texts[1], custom)
		}
		checkScript(t, texts[0])
	}
}

// checkScript has GRUB's own program look at a script.
func checkScript(t *testing.T, text string) {
	t.Helper()
	check, err := exec.LookPath("grub-script-check")
	if err != nil {
		return // TestScripts says so
	}
	cmd := exec.Command(check)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s", err, out, text)
	}
}

func TestFormerRefuses(t *testing.T) {
	root, f := former(t, beginMark+"menuentry")
	if err := f.Enter(durable.OS(root), root, "0A2B-3C4D", true); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("Enter: %v; want one about the missing end", err)
	}
	if err := f.Enter(durable.OS(root), root, "$(reboot)", true); err == nil {
		t.Error("Enter took a number that is none")
	}
	if err := root.WriteFile("boot/grub/grub.cfg", []byte("menuentry x {\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FindFormer(root); !errors.Is(err, ErrNoCustom) {
		t.Errorf("FindFormer: %v; want ErrNoCustom", err)
	}
}

// At each moment the file is as it was, or complete.
func TestFormerCrash(t *testing.T) {
	const was = "set superusers=admin\n"
	for n := 0; ; n++ {
		root, f := former(t, was)
		err := f.Enter(durabletest.CrashAfter(durable.OS(root), n), root, "0A2B-3C4D", true)
		if got := customOf(t, root); got != was && !strings.HasSuffix(got, endMark) {
			t.Errorf("after %d changes: custom.cfg is %q", n, got)
		}
		if err := f.Enter(durable.OS(root), root, "0A2B-3C4D", true); err != nil {
			t.Errorf("after %d changes: cannot try again: %v", n, err)
		}
		if err == nil {
			return
		}
	}
}
