package uki

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
)

func TestRead(t *testing.T) {
	i, err := Read(bytes.NewReader(ukitest.UKI("quiet  composefs=ab\nrw \x00")))
	if err != nil {
		t.Fatal(err)
	}
	if i.Cmdline != "quiet  composefs=ab rw" || i.Uname != "6.12.0-test" || string(i.OSRelease) != "ID=test\n" {
		t.Errorf("Read = %q, %q, %q; want the sections of the image", i.Cmdline, i.Uname, i.OSRelease)
	}
	initrd, err := io.ReadAll(i.Initrd())
	if string(initrd) != "the initramfs" || err != nil {
		t.Errorf("initramfs is %q, %v; want it without padding", initrd, err)
	}
	sum := sha256.Sum256([]byte("the kernelthe initramfs"))
	if got, err := i.BootDigest(); got != hex.EncodeToString(sum[:]) || err != nil {
		t.Errorf("BootDigest = %s, %v; want %x", got, err, sum)
	}
}

func TestReadProfiles(t *testing.T) {
	i, err := Read(bytes.NewReader(ukitest.PE(
		ukitest.Section{Name: ".linux", Content: "kernel"},
		ukitest.Section{Name: ".cmdline", Content: "base"},
		ukitest.Section{Name: ".uname", Content: "6"},
		ukitest.Section{Name: ".profile", Content: "ID=main\n"},
		ukitest.Section{Name: ".cmdline", Content: "first"},
		ukitest.Section{Name: ".profile", Content: "ID=other\n"},
		ukitest.Section{Name: ".cmdline", Content: "second"},
		ukitest.Section{Name: ".uname", Content: "7"},
	)))
	if err != nil || i.Cmdline != "first" || i.Uname != "6" {
		t.Errorf("Read = %q, %q, %v; want what boots when nobody chooses", i.Cmdline, i.Uname, err)
	}
	if i.Initrd() != nil {
		t.Error("there is an initramfs; want none")
	}
}

func TestReadErrors(t *testing.T) {
	whole := ukitest.UKI("quiet")
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"empty":       {nil, "not an EFI program"},
		"text":        {[]byte(strings.Repeat("x", 4096)), "not an EFI program"},
		"addon":       {ukitest.Addon("quiet"), ".linux is missing"},
		"long":        {ukitest.PE(ukitest.Section{Name: ".cmdline", Content: strings.Repeat("x", 1<<16+1)}), "section .cmdline: section size limit: at most 64 KiB"},
		"cut header":  {whole[:80], "not an EFI program"},
		"cut content": {whole[:1024], "EOF"},
	} {
		if _, err := Read(bytes.NewReader(tt.data)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Read = %v; want an error with %q", name, err, tt.want)
		}
	}
	i, err := Read(bytes.NewReader(whole[:len(whole)-fileEnd]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.BootDigest(); err == nil {
		t.Error("BootDigest of an image that is cut off: no error")
	}
}

// fileEnd is more than the padding of the last section.
const fileEnd = 510

func TestReadAddon(t *testing.T) {
	i, err := ReadAddon(bytes.NewReader(ukitest.Addon("debug")))
	if err != nil || i.Cmdline != "debug" {
		t.Errorf("ReadAddon = %v, %v; want the command line debug", i, err)
	}
	if _, err := ReadAddon(strings.NewReader("text")); err == nil {
		t.Error("ReadAddon of a text: no error")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(ukitest.UKI("composefs=ab"))
	f.Add(ukitest.Addon("x"))
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		if strings.ContainsAny(i.Cmdline, "\n\x00") {
			t.Errorf("command line %q is not one line", i.Cmdline)
		}
		_, _ = i.BootDigest()
	})
}
