package verify

import (
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/luksheader"
	"github.com/sysupdate-image/sysupdate-image/internal/format/superblock"
)

// An encrypted root is opened if a kernel argument names it, or by its type.
func TestNamedEncrypted(t *testing.T) {
	const root, linux, uuid = "type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "type=0fc63daf-8483-4772-8e79-3d69d8477de4", "ab-cd"
	for _, tt := range []struct {
		kind, options string
		opened        bool
	}{
		{root, "rw", true},
		{root, "rw root=UUID=1", false},
		{root, "rw root=UUID=1 rd.luks.uuid=AB-CD", true},
		{root, "rw root=UUID=1 rd.luks.uuid=luks-ab-cd", true},
		{root, "rw root=UUID=1 rd.luks.name=ab-cd=root", true},
		{root, "rw root=UUID=1 rd.luks.uuid=ab", false},
		{root, "rw root=UUID=1 rd.luks.uuid=ab rd.luks.uuid=ab-cd", true},
		{linux, "rw", false},
	} {
		p := disk(t, linux, tt.kind)
		p.root = 2
		p.contents[2] = superblock.Content{Type: superblock.LUKS, UUID: uuid, Container: true}
		if err := p.namedEncrypted(tt.options); (err == nil) != tt.opened || !p.isEncrypted() {
			t.Errorf("%s, %s: %v; want opened: %t", tt.kind, tt.options, err, tt.opened)
		}
	}
}

func TestOpeners(t *testing.T) {
	seen := make(map[string]bool)
	for _, tokens := range [][]string{{luksheader.TPM2, luksheader.Recovery}, {luksheader.TPM2}, {luksheader.Recovery}, {"clevis"}} {
		seen[openers(tokens)] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d texts for four ways to open a root: %v", len(seen), seen)
	}
}
