package prepareroot

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootcount"
	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

func TestOnFailure(t *testing.T) {
	tests := []struct {
		cmdline, path string
		want          bootcount.Policy
	}{
		{"", "", bootcount.Emergency},
		{"", `\loader\entries\v2+2-1.conf`, bootcount.Reboot},
		{"", `\loader\entries\v2+0-3.conf`, bootcount.Reboot},     // its last try
		{"", `\loader\entries\v2+0-10.conf`, bootcount.Emergency}, // no entry is good
		{"", `\EFI\Linux\v2+1-2.efi`, bootcount.Reboot},
		{"sysupdate-image.on-failure=emergency", `\loader\entries\v2+2-1.conf`, bootcount.Emergency},
		{"sysupdate_image.on_failure=poweroff", "", bootcount.PowerOff},
		{"sysupdate-image.on-failure=reboot", "", bootcount.Reboot},
		{"sysupdate-image.on-failure=nonsense", "", bootcount.Emergency},
	}
	for _, tt := range tests {
		fsys := fstest.MapFS{}
		if tt.path != "" {
			fsys[bootcount.VariableFile("LoaderBootCountPath")] = &fstest.MapFile{Data: efiVariable(tt.path)}
		}
		entry, err := countedEntry(fsys)
		if err != nil {
			t.Errorf("countedEntry(%q): %v", tt.path, err)
		}
		if got := OnFailure(kcmdline.Parse(tt.cmdline), entry, deployment.Attempts{}); got != tt.want {
			t.Errorf("OnFailure(%q, %q) = %s; want %s", tt.cmdline, tt.path, got, tt.want)
		}
	}
}

func efiVariable(text string) []byte {
	data := []byte{6, 0, 0, 0}
	for _, u := range utf16.Encode([]rune(text + "\x00")) {
		data = append(data, byte(u), byte(u>>8))
	}
	return data
}

func TestScreen(t *testing.T) {
	failure := errors.New("image 0123 is damaged")
	tests := []struct {
		action bootcount.Policy
		entry  bootentry.Name
		want   string
	}{
		{bootcount.Reboot, bootentry.Name{Counted: true, TriesLeft: 2}, "Tries left until the boot loader takes another entry: 2."},
		{bootcount.Reboot, bootentry.Name{Counted: true}, "No tries are left"},
		{bootcount.Reboot, bootentry.Name{}, "The machine restarts in 5 seconds.\n"},
		{bootcount.PowerOff, bootentry.Name{}, "The machine is switched off in 5 seconds."},
		{bootcount.Emergency, bootentry.Name{}, "choose another entry in the boot loader's menu"},
	}
	for _, tt := range tests {
		got := screen(failure, tt.action, tt.entry, deployment.Attempts{}, false)
		for _, want := range []string{failure.Error(), tt.want, bootcount.OnFailure} {
			if !strings.Contains(got, want) {
				t.Errorf("screen(%s, %v) = %q; want a text with %q", tt.action, tt.entry, got, want)
			}
		}
	}
}

// Outside an initramfs, --on-failure=auto does nothing to the machine: this test
// would be the end of it.
func TestOnFailureAutoOutsideInitramfs(t *testing.T) {
	var stdout, stderr bytes.Buffer
	args := []string{"--sysroot=" + t.TempDir(), "--cmdline=composefs=" + longID + " sysupdate-image.on-failure=reboot", "--on-failure=auto"}
	if inInitramfs(fstest.MapFS{}) {
		t.Fatal("inInitramfs says so of an empty file system")
	}
	if err := Run(os.DirFS("/"), args, &stdout, &stderr); err == nil || stderr.Len() > 0 {
		t.Errorf("Run = %v, with %q on stderr; want an error and nothing else", err, stderr.String())
	}
}
