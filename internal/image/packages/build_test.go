package packages

import (
	"encoding/binary"
	"testing"
)

// rpmHeader builds a header of rpm.
func rpmHeader(name, version, release, arch string) []byte {
	var index, data []byte
	for i, text := range []string{name, version, release, arch} {
		tag := []uint32{rpmName, rpmVersion, rpmRelease, rpmArch}[i]
		for _, n := range []uint32{tag, rpmString, uint32(len(data)), 1} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		data = append(append(data, text...), 0)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(index)/rpmEntrySize))
	return append(append(binary.BigEndian.AppendUint32(head, uint32(len(data))), index...), data...)
}

const testPage = 1024

// sqliteWith builds a database of two pages: one that says where the table
// Packages is, and the table, with small rows.
func sqliteWith(t testing.TB, blobs ...[]byte) []byte {
	t.Helper()
	db := make([]byte, 2*testPage)
	copy(db, sqliteMagic)
	binary.BigEndian.PutUint16(db[16:], testPage)
	var rows [][]byte
	for _, blob := range blobs {
		rows = append(rows, record([]byte{0}, nil, blobType(len(blob)), blob))
	}
	leaf(t, db[:testPage], sqliteHeader, record(
		[]byte{13 + 2*5, 13 + 2*8, 13 + 2*8, 1, 13}, []byte("tablePackagesPackages\x02"), nil, nil))
	leaf(t, db[testPage:], 0, rows...)
	return db
}

func blobType(n int) []byte {
	n = 12 + 2*n
	if n < 0x80 {
		return []byte{byte(n)}
	}
	return []byte{0x80 | byte(n>>7), byte(n & 0x7f)}
}

// record builds a record of columns of the given types.
func record(types, content, moreTypes, moreContent []byte) []byte {
	types = append(types, moreTypes...)
	return append(append(append([]byte{byte(len(types) + 1)}, types...), content...), moreContent...)
}

// leaf fills a page with rows.
func leaf(t testing.TB, page []byte, start int, rows ...[]byte) {
	t.Helper()
	page[start] = pageLeaf
	binary.BigEndian.PutUint16(page[start+3:], uint16(len(rows)))
	end := len(page)
	for i, row := range rows {
		size := []byte{0x80 | byte(len(row)>>7), byte(len(row) & 0x7f)}
		cell := append(append(size, byte(i+1)), row...)
		end -= len(cell)
		if end < start+8+2*len(rows) {
			t.Fatal("the rows are too large for a page")
		}
		copy(page[end:], cell)
		binary.BigEndian.PutUint16(page[start+8+2*i:], uint16(end))
	}
}
