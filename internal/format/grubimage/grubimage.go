// Package grubimage reads what a GRUB for EFI has in itself, and writes the blocks by which a
// BIOS starts GRUB. It hides where that is in their files.
package grubimage

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// An EFI is a GRUB for EFI.
type EFI struct {
	Prefix  string // the directory of its configuration, on the partition that it came from
	Version string // "" if it does not say
}

// What is at the beginning of the modules that are built in, and of one of them.
const (
	modulesMagic  = 0x676d696d // "mimg"
	modulesHeader = 24
	moduleHeader  = 8
	kindPrefix    = 3
	modulesName   = "mods"
)

// Read reads a GRUB for EFI of a size. The error says why it is none.
func Read(r io.ReaderAt, size int64) (EFI, error) {
	f, err := pe.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		return EFI{}, fmt.Errorf("not an EFI program: %w", err)
	}
	mods := f.Section(modulesName)
	if mods == nil {
		return EFI{}, errors.New("not a GRUB: it has no modules")
	}
	data, err := sectionOf(mods, size)
	if err != nil {
		return EFI{}, err
	}
	prefix, err := prefixOf(data)
	if err != nil {
		return EFI{}, err
	}
	e := EFI{Prefix: prefix}
	if s := f.Section(".sbat"); s != nil {
		text, err := sectionOf(s, size)
		if err != nil {
			return EFI{}, err
		}
		e.Version = SBATVersion(string(text), "grub")
	}
	return e, nil
}

func sectionOf(s *pe.Section, size int64) ([]byte, error) {
	if int64(s.Offset)+int64(s.Size) > size {
		return nil, fmt.Errorf("it is cut off in section %q", s.Name)
	}
	return s.Data()
}

// prefixOf returns the prefix among modules.
func prefixOf(data []byte) (string, error) {
	le := binary.LittleEndian
	if len(data) < modulesHeader || le.Uint32(data) != modulesMagic {
		return "", errors.New("not a GRUB for 64 bits: its modules have no header")
	}
	offset, end := le.Uint64(data[8:]), le.Uint64(data[16:])
	if end > uint64(len(data)) || offset > end {
		return "", errors.New("the header of its modules is damaged")
	}
	for data = data[offset:end]; len(data) >= moduleHeader; {
		kind, size := le.Uint32(data), le.Uint32(data[4:])
		if size < moduleHeader || uint64(size) > uint64(len(data)) {
			return "", errors.New("a module in it is damaged")
		}
		if kind == kindPrefix {
			text, _, _ := bytes.Cut(data[moduleHeader:size], []byte{0})
			return string(text), nil
		}
		data = data[size:]
	}
	return "", errors.New("it has no prefix")
}

// SBATVersion returns the version of a component in SBAT metadata: what the distributor calls
// it, or else the version that it was made from; "" if it is not there.
func SBATVersion(text, component string) (version string) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimRight(line, "\r\n\x00"), ",")
		if len(fields) < 5 {
			continue
		}
		if fields[0] == component || strings.HasPrefix(fields[0], component+".") && fields[2] != "Canonical" {
			version = fields[4]
		}
	}
	return version
}
