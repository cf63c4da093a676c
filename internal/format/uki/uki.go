// Package uki reads unified kernel images: a kernel, its initramfs and its
// command line as the sections of one EFI program. It hides that format; see the UKI
// specification of the UAPI group, and systemd-stub(7).
package uki

import (
	"crypto/sha256"
	"debug/pe"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// An Image is a unified kernel image, or an addon to one.
type Image struct {
	Cmdline   string // "" if there is none
	OSRelease []byte // os-release(5) of the system
	Uname     string // kernel release, as uname -r

	linux, initrd *io.SectionReader // nil if there is none
}

// Read reads a unified kernel image. The error says why r is none.
func Read(r io.ReaderAt) (*Image, error) {
	i, err := read(r)
	if err == nil && i.linux == nil {
		err = errors.New("it has no kernel: section .linux is missing")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read unified kernel image: %w", err)
	}
	return i, nil
}

// ReadAddon reads an addon, whose Cmdline comes after that of the image that it
// is for; see systemd-stub(7).
func ReadAddon(r io.ReaderAt) (*Image, error) {
	i, err := read(r)
	if err != nil {
		return nil, fmt.Errorf("cannot read addon: %w", err)
	}
	return i, nil
}

func read(r io.ReaderAt) (*Image, error) {
	f, err := pe.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("not an EFI program: %w", err)
	}
	i := &Image{}
	for name, s := range effective(f.Sections) {
		if err := i.set(name, sectionReader(r, s)); err != nil {
			return nil, fmt.Errorf("section %s: %w", name, err)
		}
	}
	return i, nil
}

// effective returns the sections that count when nobody chooses a profile: those
// before the first .profile, replaced by what the first profile has of its own.
// Of a section that is there twice the first counts.
func effective(all []*pe.Section) map[string]*pe.Section {
	base, profile := make(map[string]*pe.Section), make(map[string]*pe.Section)
	into, profiles := base, 0
	for _, s := range all {
		if s.Name == ".profile" {
			if profiles++; profiles > 1 {
				break
			}
			into = profile
		}
		if into[s.Name] == nil {
			into[s.Name] = s
		}
	}
	for name, s := range profile {
		base[name] = s
	}
	return base
}

// sectionReader reads what a section holds: its size in the file is rounded up,
// that in memory is not.
func sectionReader(r io.ReaderAt, s *pe.Section) *io.SectionReader {
	size := s.Size
	if 0 < s.VirtualSize && s.VirtualSize < size {
		size = s.VirtualSize
	}
	return io.NewSectionReader(r, int64(s.Offset), int64(size))
}

func (i *Image) set(name string, content *io.SectionReader) error {
	if content.Size() == 0 {
		return nil
	}
	switch name {
	case ".linux":
		i.linux = content
		return nil
	case ".initrd":
		i.initrd = content
		return nil
	case ".cmdline", ".uname", ".osrel":
	default:
		return nil
	}
	text, err := readText(content)
	if err != nil {
		return err
	}
	switch name {
	case ".cmdline":
		i.Cmdline = oneLine(text)
	case ".uname":
		i.Uname = oneLine(text)
	case ".osrel":
		i.OSRelease = text
	}
	return nil
}

func readText(content *io.SectionReader) ([]byte, error) {
	if err := limits.Section.Check(content.Size()); err != nil {
		return nil, err
	}
	text := make([]byte, content.Size())
	if _, err := io.ReadFull(content, text); err != nil {
		return nil, err
	}
	return text, nil
}

// oneLine returns a text up to its end as C has it, on one line, as systemd-stub
// passes it on.
func oneLine(text []byte) string {
	s, _, _ := strings.Cut(string(text), "\x00")
	return strings.TrimSpace(strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(s))
}

// Linux returns the kernel, nil if there is none, as in an addon.
func (i *Image) Linux() *io.SectionReader {
	if i.linux == nil {
		return nil
	}
	return io.NewSectionReader(i.linux, 0, i.linux.Size())
}

// Initrd returns the initramfs, nil if there is none.
func (i *Image) Initrd() *io.SectionReader {
	if i.initrd == nil {
		return nil
	}
	return io.NewSectionReader(i.initrd, 0, i.initrd.Size())
}

// BootDigest returns the SHA-256 digest of kernel and initramfs, one after the
// other, in hexadecimal: two images with the same differ in their command lines
// or signatures only. bootc keeps it in origin files.
func (i *Image) BootDigest() (string, error) {
	h := sha256.New()
	for _, s := range []*io.SectionReader{i.linux, i.initrd} {
		if s == nil {
			continue
		}
		n, err := io.Copy(h, io.NewSectionReader(s, 0, s.Size()))
		if err == nil && n < s.Size() {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", fmt.Errorf("cannot read unified kernel image: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
