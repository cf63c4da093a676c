package kexec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

func TestExplain(t *testing.T) {
	files := func(lockdown, disabled string) fstest.MapFS {
		return fstest.MapFS{
			"sys/kernel/security/lockdown":        {Data: []byte(lockdown + "\n")},
			"proc/sys/kernel/kexec_load_disabled": {Data: []byte(disabled + "\n")},
			"sys/kernel/kexec_loaded":             {Data: []byte("0\n")},
		}
	}
	tests := []struct {
		err     error
		running fstest.MapFS
		want    string
	}{
		{sys.ErrNotPermitted, files("none [integrity] confidentiality", "0"), "locked down (integrity) and does not trust the signature"},
		{sys.ErrNoKey, files("none integrity [confidentiality]", "0"), "locked down (confidentiality) and does not trust the signature"},
		{sys.ErrNoKey, files("[none] integrity confidentiality", "0"), "the running kernel does not trust the signature"},
		{sys.ErrNotPermitted, files("[none] integrity confidentiality", "1"), "kernel.kexec_load_disabled"},
		{sys.ErrNotPermitted, files("", "0"), "kexec_file_load: "},
		{sys.ErrNoSyscall, fstest.MapFS{}, "CONFIG_KEXEC_FILE"},
		{sys.ErrNotExecute, files("", "0"), "cannot start a kernel of this kind"},
		{errors.New("other"), files("none [integrity]", "0"), "kexec_file_load: other"},
	}
	for _, tt := range tests {
		err := explain(fmt.Errorf("kexec_file_load: %w", tt.err), tt.running)
		if !strings.Contains(err.Error(), tt.want) || !errors.Is(err, tt.err) {
			t.Errorf("explain(%v) = %q; want %q in it", tt.err, err, tt.want)
		}
	}
	if got := Disabled(fstest.MapFS{}); got != "the running kernel has no kexec" {
		t.Errorf("Disabled() = %q without kexec", got)
	}
}
