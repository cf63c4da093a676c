package finalize

import (
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

var (
	idA = deployment.ID(strings.Repeat("0a", 64))
	idB = deployment.ID(strings.Repeat("0b", 64))
)

func TestMakePlan(t *testing.T) {
	const publish = "publish boot entry b.conf\ndrop the staged record\n"
	tests := []struct {
		staged *deployment.Staged
		etc    deployment.EtcMode
		want   string
	}{
		{nil, "overlay", "# no deployment is staged\n"},
		{&deployment.Staged{ID: idA, Entry: "a.conf"}, "overlay", "# the staged deployment is the booted one\ndrop the staged record\n"},
		{&deployment.Staged{ID: idB, FinalizationLocked: true}, "overlay", "# the staged deployment 0b0b0b0b0b0b is locked\n"},
		{&deployment.Staged{ID: idB, Entry: "b.conf"}, "overlay", "carry /etc of 0a0a0a0a0a0a (overlay) over to 0b0b0b0b0b0b (overlay)\n" + publish},
		{&deployment.Staged{ID: idB, Entry: "b.conf", Etc: "overlay"}, "bind", "carry /etc of 0a0a0a0a0a0a (bind) over to 0b0b0b0b0b0b (overlay)\n" + publish},
		{&deployment.Staged{ID: idB, Entry: "b.conf", Etc: "bind"}, "overlay", "carry /etc of 0a0a0a0a0a0a (overlay) over to 0b0b0b0b0b0b (bind)\n" + publish},
		{&deployment.Staged{ID: idB, Entry: "b.conf", Etc: "bind"}, "none", "copy the image's /etc to 0b0b0b0b0b0b (bind)\n" + publish},
		{&deployment.Staged{ID: idB, Entry: "b.conf", EtcConflicts: "new"}, "overlay", "carry /etc of 0a0a0a0a0a0a (overlay) over to 0b0b0b0b0b0b (overlay), the image wins conflicts\n" + publish},
		{&deployment.Staged{ID: idB, Entry: "b.conf"}, "transient", publish},
		{&deployment.Staged{ID: idB, Entry: "b.conf", Etc: "transient"}, "overlay", "leave local changes to /etc behind in 0a0a0a0a0a0a: 0b0b0b0b0b0b has it as its image (transient)\n" + publish},
		{&deployment.Staged{ID: idB, Entry: "b.conf", Etc: "none"}, "bind", "leave local changes to /etc behind in 0a0a0a0a0a0a: 0b0b0b0b0b0b has it as its image (none)\n" + publish},
		{&deployment.Staged{ID: idB, Entry: "b.conf", Etc: "none"}, "transient", publish},
	}
	for _, tt := range tests {
		p, err := MakePlan(tt.staged, idA, tt.etc)
		if got := p.String(); got != tt.want || err != nil {
			t.Errorf("MakePlan(%+v, A, %q) = %q, %v; want %q", tt.staged, tt.etc, got, err, tt.want)
		}
	}
	if _, err := MakePlan(&deployment.Staged{ID: idB}, idA, "overlay"); err == nil || !strings.Contains(err.Error(), "names no boot entry") {
		t.Errorf("without an entry: error %v", err)
	}
}
