package grubimage

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
)

// mods returns the section with modules: one, and the prefix.
func mods(prefix string) []byte {
	le := binary.LittleEndian
	var all []byte
	for kind, content := range [][]byte{0: []byte("module"), kindPrefix: append([]byte(prefix), 0, 0)} {
		if content == nil {
			continue
		}
		all = le.AppendUint32(all, uint32(kind))
		all = append(le.AppendUint32(all, uint32(moduleHeader+len(content))), content...)
	}
	head := le.AppendUint32(nil, modulesMagic)
	head = le.AppendUint64(append(head, 0, 0, 0, 0), modulesHeader)
	return append(le.AppendUint64(head, uint64(modulesHeader+len(all))), all...)
}

const sbat = `sbat,1,SBAT Version,sbat,1,https://example.org
grub,5,Free Software Foundation,grub,2.12,https://www.gnu.org/software/grub/
grub.debian,5,Debian,grub2,2.12-9,https://tracker.debian.org/pkg/grub2
grub.peimage,2,Canonical,grub2,2.12-1,https://example.org
`

func section(name string, content []byte) ukitest.Section {
	return ukitest.Section{Name: name, Content: string(content)}
}

func TestRead(t *testing.T) {
	read := func(sections ...ukitest.Section) (EFI, error) {
		data := ukitest.PE(sections...)
		return Read(bytes.NewReader(data), int64(len(data)))
	}
	got, err := read(section("mods", mods("/EFI/debian")), section(".sbat", []byte(sbat)))
	if want := (EFI{Prefix: "/EFI/debian", Version: "2.12-9"}); err != nil || got != want {
		t.Errorf("Read = %+v, %v; want %+v", got, err, want)
	}
	if got, err := read(section("mods", mods("(hd0)/x"))); err != nil || got.Version != "" || got.Prefix != "(hd0)/x" {
		t.Errorf("without metadata: %+v, %v", got, err)
	}
	broken := mods("/EFI/debian")
	for name, m := range map[string][]byte{"no header": []byte("mimg"), "no prefix": mods("")[:modulesHeader], "broken": broken[:40], "other": []byte(strings.Repeat("x", 99))} {
		if got, err := read(section("mods", m)); err == nil {
			t.Errorf("%s: %+v; want an error", name, got)
		}
	}
	if got, err := read(section(".text", []byte("x"))); err == nil {
		t.Errorf("no GRUB: %+v; want an error", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(ukitest.PE(section("mods", mods("/EFI/debian")), section(".sbat", []byte(sbat))))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Read(bytes.NewReader(data), int64(len(data)))
		if err == nil && len(e.Prefix)+len(e.Version) > len(data) {
			t.Errorf("Read has found more than there is: %+v", e)
		}
	})
}

func TestBIOS(t *testing.T) {
	img := make([]byte, sector)
	img[0], img[sector-2], img[sector-1] = 0xeb, 0x55, 0xaa
	core := make([]byte, 3*sector+7)
	binary.LittleEndian.PutUint16(core[blockList+10:], coreSegment)
	const at = 4096
	first, err := Boot(img, at)
	if err != nil || len(first) != BootCode {
		t.Fatalf("Boot = %d bytes, %v", len(first), err)
	}
	placed, err := Core(core, at)
	if err != nil || len(placed) != 4*sector {
		t.Fatalf("Core = %d bytes, %v", len(placed), err)
	}
	if err := CheckBoot(first, placed, at); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"other place": CheckBoot(first, placed, at+1), "cut off": CheckBoot(first, placed[:3*sector], at),
		"no core": CheckBoot(first, make([]byte, 9*sector), at), "no loader": CheckBoot(make([]byte, BootCode), placed, at),
		"nothing": CheckBoot(nil, nil, at),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Boot(core, at); err == nil {
		t.Error("a core is no boot sector, but there is no error")
	}
	for _, bad := range [][]byte{nil, img, make([]byte, 4*sector), make([]byte, MaxCore+1)} {
		if _, err := Core(bad, at); err == nil {
			t.Errorf("%d bytes are no core, but there is no error", len(bad))
		}
	}
}
