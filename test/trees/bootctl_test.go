package trees

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	system "github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
	"github.com/sysupdate-image/sysupdate-image/internal/status"
	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestBootctl has the bootctl(1) of Debian trixie and of sid, and our status, tell what the
// loader of that version boots next. To both it looks as if the tree was a running machine.
func TestBootctl(t *testing.T) {
	t.Parallel()
	dir := unpacked(t, layout(t, "base"), "base")
	if err := os.Mkdir(filepath.Join(dir, "efi"), 0o755); err != nil {
		t.Fatal(err)
	}
	compareWithBootctl(t, dir, "257")
	loaders, err := disks.Loader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run(t, "cp", "-a", loaders+"/tree/.", dir)
	compareWithBootctl(t, dir, "262")
}

// entriesOf are boot entries for deployments with a letter each.
var entriesOf = map[string]map[string]string{
	"good and on trial": {
		"sysupdate-image-000001-aa.conf": "a", "sysupdate-image-000002-bb.conf": "b", "sysupdate-image-000003-cc+2-1.conf": "c",
	},
	"good and failed": {
		"sysupdate-image-000001-aa.conf": "a", "sysupdate-image-000002-bb.conf": "b", "sysupdate-image-000003-cc+0-3.conf": "c",
	},
	"all failed":          {"sysupdate-image-000001-aa+0-3.conf": "a", "sysupdate-image-000002-bb+0-9.conf": "b"},
	"numbers that cannot": {"sysupdate-image-000001-aa.conf": "a", "sysupdate-image-000002-bb+99999.conf": "b"},
}

// settingsOf are settings of the loader: EFI variables, or lines of loader.conf after "conf".
var settingsOf = []string{
	"", "LoaderEntryDefault=sysupdate-image-000001-aa.conf", "LoaderEntryDefault=*-cc*", "LoaderEntryDefault=*BB.conf",
	"LoaderEntryOneShot=sysupdate-image-000001-aa.conf LoaderEntryDefault=*-cc*", "LoaderEntryOneShot=none.conf",
	"LoaderEntryPreferred=sysupdate-image-000003-cc.conf", "LoaderEntryPreferred=*-cc* LoaderEntryDefault=*-aa*",
	"LoaderEntryPreferred=*-aa* LoaderEntryDefault=*-bb*", "LoaderEntryOneShot=*-bb* LoaderEntryPreferred=*-aa*",
	"conf default=*-aa*", "conf default=*-aa* LoaderEntryDefault=*-bb*", "conf preferred=*-aa* default=*-bb*",
	"conf preferred=*-cc* default=*-aa* LoaderEntryDefault=*-bb*", "conf preferred=*-aa* LoaderEntryPreferred=*-bb*",
	"LoaderEntryDefault=@saved LoaderEntryLastBooted=sysupdate-image-000001-aa.conf LoaderEntrySelected=sysupdate-image-000001-aa.conf",
}

// wrongOf262 are the cases in which bootctl 262 does not tell what systemd-boot 262 boots, and
// that. To the loader, preferred in loader.conf comes before the variable LoaderEntryDefault,
// and neither that nor LoaderEntryPreferred selects an entry without tries.
var wrongOf262 = map[string]string{
	"good and on trial: conf preferred=*-cc* default=*-aa* LoaderEntryDefault=*-bb*": "sysupdate-image-000003-cc+2-1.conf",
	"good and failed: LoaderEntryPreferred=sysupdate-image-000003-cc.conf":           "sysupdate-image-000002-bb.conf",
	"good and failed: LoaderEntryPreferred=*-cc* LoaderEntryDefault=*-aa*":           "sysupdate-image-000001-aa.conf",
	"all failed: LoaderEntryPreferred=*-aa* LoaderEntryDefault=*-bb*":                "sysupdate-image-000002-bb+0-9.conf",
	"all failed: conf preferred=*-aa* default=*-bb*":                                 "sysupdate-image-000002-bb+0-9.conf",
}

func compareWithBootctl(t *testing.T, dir, version string) {
	t.Helper()
	out, err := exec.Command("chroot", dir, "bootctl", "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "systemd "+version) {
		t.Fatalf("bootctl is %s, %v; want systemd %s", out, err, version)
	}
	cases := 0
	for name, entries := range entriesOf {
		for _, settings := range settingsOf {
			putMachine(t, dir, "systemd-boot "+version, entries, settings)
			theirs, ours := bootctlNext(t, dir), statusNext(t, dir)
			if want, ok := wrongOf262[name+": "+settings]; ok && version == "262" {
				if ours != want {
					t.Errorf("%s, %q: status says that %q boots next; want %q", name, settings, ours, want)
				}
				continue
			}
			if theirs != ours || ours == "" {
				t.Errorf("%s, %s, %q: bootctl says that %q boots next, status %q", version, name, settings, theirs, ours)
			}
			cases++
		}
	}
	t.Logf("systemd %s: %d cases", version, cases)
}

// putMachine makes a tree look like a machine that was booted by EFI from deployment a.
func putMachine(t *testing.T, dir, loader string, entries map[string]string, settings string) {
	t.Helper()
	files := map[string][]byte{
		"efi/k":               []byte("kernel"),
		"proc/self/mountinfo": []byte("20 1 0:30 / / ro - overlay composefs:" + strings.Repeat("a", 128) + " ro\n"),

		bootcount.VariableFile("LoaderInfo"): variable(loader),
	}
	for file, letter := range entries {
		files["efi/loader/entries/"+file] = []byte("title " + letter + "\nsort-key sysupdate-image\nlinux /k\noptions composefs=" + strings.Repeat(letter, 128) + "\n")
	}
	inConf := false
	for _, s := range strings.Fields(settings) {
		key, value, _ := strings.Cut(s, "=")
		switch {
		case s == "conf":
			inConf = true
		case inConf && !strings.HasPrefix(s, "Loader"):
			files["efi/loader/loader.conf"] = append(files["efi/loader/loader.conf"], key+" "+value+"\n"...)
		default:
			files[bootcount.VariableFile(key)] = variable(value)
		}
	}
	for _, old := range []string{"efi/loader", "sys/firmware", "proc/self"} {
		if err := os.RemoveAll(filepath.Join(dir, old)); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// variable returns the file of an EFI variable with a text.
func variable(text string) []byte {
	data := []byte{7, 0, 0, 0}
	for _, u := range utf16.Encode([]rune(text + "\x00")) {
		data = binary.LittleEndian.AppendUint16(data, u)
	}
	return data
}

// bootctlNext returns the file of the entry that bootctl calls the default.
func bootctlNext(t *testing.T, dir string) string {
	t.Helper()
	// It wants a mount there.
	cmd := exec.Command("unshare", "--mount", "sh", "-ec", `mount --bind "$1/efi" "$1/efi"
exec chroot "$1" bootctl --esp-path=/efi list --json=short --no-pager`, "sh", dir)
	cmd.Env = append(os.Environ(), "SYSTEMD_RELAX_ESP_CHECKS=1")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("bootctl: %v: %s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Path      string
		IsDefault bool
	}
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatalf("bootctl prints %q: %v", out, err)
	}
	for _, e := range list {
		if e.IsDefault {
			return path.Base(e.Path)
		}
	}
	return ""
}

// statusNext returns the file of the entry that status marks as the next.
func statusNext(t *testing.T, dir string) string {
	t.Helper()
	p, err := boot.OpenDir(filepath.Join(dir, "efi"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	m := system.System{Running: os.DirFS(dir), Boot: p}
	s := status.Gather(&m)
	next := s.Next()
	if next == nil {
		return ""
	}
	if m.State().Next() != next.ID || next.ID == deployment.ID("") {
		t.Errorf("status marks %s, and commands take %s for the next", next.ID.Short(), m.State().Next().Short())
	}
	return next.Entry
}
