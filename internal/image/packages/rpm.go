package packages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// errJournal says that rpm's database cannot be read from its file alone.
var errJournal = errors.New("its write-ahead log must be written back first: run rpm -qa in the image")

// readRPM reads the database of rpm: a table Packages of headers, see "Header
// Structure" in rpm's documentation of its package format.
func readRPM(fsys fs.FS, name string) ([]Package, error) {
	data, err := bounded.ReadFile(fsys, name, limits.Packages)
	if err != nil {
		return nil, err
	}
	switch info, err := fs.Stat(fsys, name+"-wal"); {
	case err == nil && info.Size() > 0:
		return nil, fmt.Errorf("%s: %w", name, errJournal)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	all, err := parseRPM(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

func parseRPM(data []byte) ([]Package, error) {
	db, err := openSQLite(data)
	if err != nil {
		return nil, err
	}
	var all []rpmPackage
	architecture := make(map[string]string) // of a name's first package
	several := make(map[string]bool)        // names with more than one
	err = db.rows("Packages", func(columns [][]byte) error {
		if len(columns) != 2 {
			return fmt.Errorf("a package of %d columns", len(columns))
		}
		p, err := parseRPMHeader(columns[1])
		if err != nil || p.name == "gpg-pubkey" { // a key, not a package
			return err
		}
		if first, ok := architecture[p.name]; !ok {
			architecture[p.name] = p.arch
		} else if first != p.arch {
			several[p.name] = true
		}
		all = append(all, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var list []Package
	for _, p := range all {
		name := p.name
		if several[name] {
			name += "." + p.arch
		}
		list = append(list, Package{name, p.fullVersion(), p.size})
	}
	return list, nil
}

type rpmPackage struct {
	name, version, release, arch string
	epoch                        uint32
	hasEpoch                     bool
	size                         int64
}

// fullVersion returns "[EPOCH:]VERSION-RELEASE".
func (p rpmPackage) fullVersion() string {
	v := p.version + "-" + p.release
	if p.hasEpoch {
		return strconv.FormatUint(uint64(p.epoch), 10) + ":" + v
	}
	return v
}

// Tags and types of what is in a header.
const (
	rpmName    = 1000
	rpmVersion = 1001
	rpmRelease = 1002
	rpmEpoch   = 1003
	rpmSize    = 1009
	rpmArch    = 1022
	rpmLarge   = 5009 // the size where it does not fit into 32 bits

	rpmInt32  = 4
	rpmInt64  = 5
	rpmString = 6

	rpmEntrySize = 16

	maxText = 1 << 10 // bytes of a name, and of each part of a version
)

var errRPM = errors.New("malformed header of a package")

// parseRPMHeader reads a header: the numbers of its entries and of the bytes of
// their data, the entries, the data.
func parseRPMHeader(b []byte) (rpmPackage, error) {
	var p rpmPackage
	if len(b) < 8 {
		return p, errRPM
	}
	be := binary.BigEndian
	entries, size := uint64(be.Uint32(b)), uint64(be.Uint32(b[4:]))
	b = b[8:]
	if entries*rpmEntrySize+size > uint64(len(b)) {
		return p, errRPM
	}
	data := b[entries*rpmEntrySize:][:size]
	for ; entries > 0; entries, b = entries-1, b[rpmEntrySize:] {
		tag, kind, offset := be.Uint32(b), be.Uint32(b[4:]), be.Uint32(b[8:])
		if uint64(offset) > size {
			continue // of an entry that is not read
		}
		if err := p.set(tag, kind, data[offset:]); err != nil {
			return p, err
		}
	}
	if p.name == "" {
		return p, errRPM
	}
	return p, nil
}

// set enters the value of one entry.
func (p *rpmPackage) set(tag, kind uint32, value []byte) error {
	var text *string
	switch tag {
	case rpmName:
		text = &p.name
	case rpmVersion:
		text = &p.version
	case rpmRelease:
		text = &p.release
	case rpmArch:
		text = &p.arch
	case rpmEpoch:
		if kind != rpmInt32 || len(value) < 4 {
			return errRPM
		}
		p.epoch, p.hasEpoch = binary.BigEndian.Uint32(value), true
		return nil
	case rpmSize, rpmLarge:
		p.setSize(kind, value)
		return nil
	default:
		return nil
	}
	s, _, ok := bytes.Cut(value, []byte{0})
	if kind != rpmString || !ok || len(s) > maxText {
		return errRPM
	}
	*text = string(s)
	return nil
}

// setSize enters the size, which nothing depends on: one of another type is left out.
func (p *rpmPackage) setSize(kind uint32, value []byte) {
	switch {
	case kind == rpmInt32 && len(value) >= 4:
		p.size = int64(binary.BigEndian.Uint32(value))
	case kind == rpmInt64 && len(value) >= 8:
		p.size = max(int64(binary.BigEndian.Uint64(value)), 0)
	}
}
