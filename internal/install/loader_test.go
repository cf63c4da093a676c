package install

import (
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// A BIOS starts neither a disk with sectors of 4096 bytes nor a unified kernel image: without
// a GRUB for UEFI, that is said before anything is written.
func TestOnlyBIOS(t *testing.T) {
	const efi, bios = "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "usr/lib/grub/i386-pc/boot.img"
	for _, tt := range []struct {
		files      []string
		unified    bool
		sector     int64
		start      string // why nothing starts it
		sectorFail bool
		wantBIOS   bool
	}{
		{[]string{efi, bios}, false, 512, "", false, true},
		{[]string{efi, bios}, false, 4096, "", false, false},
		{[]string{bios}, false, 512, "", false, true},
		{[]string{bios}, false, 4096, "", true, true},
		{[]string{efi, bios}, true, 512, "", false, false},
		{[]string{bios}, true, 512, "for a BIOS only, which cannot boot its unified kernel image", false, false},
	} {
		has := func(name string) bool { return slices.Contains(tt.files, name) }
		img := Image{loader: deployment.GRUB, bios: !tt.unified, onlyBIOS: !tt.unified && !has(efi)}
		if err := noStart(img, has, "amd64"); (err == nil) != (tt.start == "") || err != nil && !strings.Contains(err.Error(), tt.start) {
			t.Errorf("%+v: %v", tt, err)
		}
		p := DiskPlan{Disk: "disk", About: img, options: DiskOptions{Options: Options{bios: img.bios}}}
		if err := p.checkSector(tt.sector); (err != nil) != tt.sectorFail || p.options.bios != tt.wantBIOS {
			t.Errorf("%+v: checkSector = %v, and then for a BIOS: %t", tt, err, p.options.bios)
		}
	}
}
