package packages

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A sqlite is a database file of SQLite 3, of which tables can be read. The format
// is described in "Database File Format" of its documentation. The file may be
// hostile: each of its pages is used once, and all rows are no larger than it is.
type sqlite struct {
	data     []byte
	pageSize int
	usable   int // bytes of a page, without what is reserved at its end
	used     map[uint32]bool
	left     int // bytes that further rows can have
}

const (
	sqliteMagic  = "SQLite format 3\x00"
	sqliteHeader = 100 // bytes, before the first page's own
	sqliteSchema = 1   // page of the table of all tables

	pageInterior = 5 // of a table: its cells are other pages
	pageLeaf     = 13
	maxTreeDepth = 20
	maxColumns   = 32 // the tables that are read have five at most
)

var errSQLite = errors.New("malformed SQLite database")

func openSQLite(data []byte) (*sqlite, error) {
	if len(data) < sqliteHeader || string(data[:len(sqliteMagic)]) != sqliteMagic {
		return nil, errors.New("not an SQLite database")
	}
	size := int(binary.BigEndian.Uint16(data[16:]))
	if size == 1 {
		size = 64 << 10
	}
	usable := size - int(data[20])
	if size < 512 || size&(size-1) != 0 || usable < 480 {
		return nil, fmt.Errorf("%w: pages of %d bytes", errSQLite, size)
	}
	return &sqlite{data: data, pageSize: size, usable: usable, used: make(map[uint32]bool), left: len(data)}, nil
}

// rows calls f with the columns of each row of a table: texts and blobs; others
// are nil.
func (db *sqlite) rows(table string, f func(columns [][]byte) error) error {
	root := uint32(0)
	err := db.tree(sqliteSchema, 0, func(columns [][]byte, numbers []int64) error {
		// type, name, tbl_name, rootpage, sql
		if len(columns) >= 4 && string(columns[0]) == "table" && string(columns[1]) == table {
			root = uint32(numbers[3])
		}
		return nil
	})
	if err != nil {
		return err
	}
	if root == 0 {
		return fmt.Errorf("the database has no table %s", table)
	}
	return db.tree(root, 0, func(columns [][]byte, _ []int64) error { return f(columns) })
}

// page returns a page that was not used before.
func (db *sqlite) page(number uint32) ([]byte, error) {
	start := (int64(number) - 1) * int64(db.pageSize)
	if number == 0 || start+int64(db.pageSize) > int64(len(db.data)) {
		return nil, fmt.Errorf("%w: page %d is not there", errSQLite, number)
	}
	if db.used[number] {
		return nil, fmt.Errorf("%w: page %d is used twice", errSQLite, number)
	}
	db.used[number] = true
	return db.data[start:][:db.usable], nil
}

// tree calls f with every row of the B-tree whose root a page is.
func (db *sqlite) tree(number uint32, depth int, f func([][]byte, []int64) error) error {
	page, err := db.page(number)
	if err != nil {
		return err
	}
	head := page
	if number == sqliteSchema {
		head = page[sqliteHeader:]
	}
	kind, cells := head[0], int(binary.BigEndian.Uint16(head[3:]))
	pointers := head[8:]
	if kind == pageInterior {
		pointers = head[12:]
	}
	if kind != pageInterior && kind != pageLeaf || 2*cells > len(pointers) || depth > maxTreeDepth {
		return fmt.Errorf("%w: page %d", errSQLite, number)
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(pointers[2*i:]))
		if at+4 > len(page) {
			return fmt.Errorf("%w: page %d", errSQLite, number)
		}
		if kind == pageInterior {
			err = db.tree(binary.BigEndian.Uint32(page[at:]), depth+1, f)
		} else {
			err = db.row(page[at:], f)
		}
		if err != nil {
			return err
		}
	}
	if kind == pageInterior {
		return db.tree(binary.BigEndian.Uint32(head[8:]), depth+1, f)
	}
	return nil
}

// row reads the row that a cell holds, or begins.
func (db *sqlite) row(cell []byte, f func([][]byte, []int64) error) error {
	size, n := varint(cell)
	_, k := varint(cell[n:]) // the row's number
	if n == 0 || k == 0 || size > uint64(db.left) {
		return fmt.Errorf("%w: row", errSQLite)
	}
	db.left -= int(size)
	payload, err := db.payload(cell[n+k:], int(size))
	if err != nil {
		return err
	}
	columns, numbers, err := parseRow(payload)
	if err != nil {
		return err
	}
	return f(columns, numbers)
}

// payload returns the content of a cell, the rest of which is on other pages if
// it is too large for its own.
func (db *sqlite) payload(cell []byte, size int) ([]byte, error) {
	most := db.usable - 35
	if size <= most {
		if size > len(cell) {
			return nil, fmt.Errorf("%w: row", errSQLite)
		}
		return cell[:size], nil
	}
	least := (db.usable-12)*32/255 - 23
	local := least + (size-least)%(db.usable-4)
	if local > most {
		local = least
	}
	if local+4 > len(cell) {
		return nil, fmt.Errorf("%w: row", errSQLite)
	}
	payload := append(make([]byte, 0, min(size, len(db.data))), cell[:local]...)
	for next := binary.BigEndian.Uint32(cell[local:]); len(payload) < size; {
		page, err := db.page(next)
		if err != nil {
			return nil, err
		}
		next = binary.BigEndian.Uint32(page)
		payload = append(payload, page[4:][:min(size-len(payload), db.usable-4)]...)
	}
	return payload, nil
}

// parseRow takes a record apart: the types of the columns, then their contents.
func parseRow(record []byte) (columns [][]byte, numbers []int64, err error) {
	size, n := varint(record)
	if n == 0 || size < uint64(n) || size > uint64(len(record)) {
		return nil, nil, fmt.Errorf("%w: record", errSQLite)
	}
	types, content := record[n:size], record[size:]
	for len(types) > 0 {
		kind, n := varint(types)
		if n == 0 || len(columns) == maxColumns {
			return nil, nil, fmt.Errorf("%w: record", errSQLite)
		}
		types = types[n:]
		length := columnSize(kind)
		if length > uint64(len(content)) {
			return nil, nil, fmt.Errorf("%w: record", errSQLite)
		}
		var column []byte
		var number int64
		switch value := content[:length]; {
		case kind >= 12:
			column = value
		case kind >= 1 && kind <= 6:
			number = bigEndian(value)
		}
		columns, numbers = append(columns, column), append(numbers, number)
		content = content[length:]
	}
	return columns, numbers, nil
}

// columnSize returns how many bytes a column of a type has.
func columnSize(kind uint64) uint64 {
	if kind >= 12 {
		return (kind - 12) / 2
	}
	return []uint64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0}[kind]
}

func bigEndian(b []byte) (n int64) {
	for i, c := range b {
		if i == 0 {
			n = int64(int8(c))
			continue
		}
		n = n<<8 | int64(c)
	}
	return n
}

// varint reads a number of one to nine bytes, and returns how many it has; 0 if
// its end is missing.
func varint(b []byte) (value uint64, n int) {
	for n < min(len(b), 8) {
		value = value<<7 | uint64(b[n]&0x7f)
		if n++; b[n-1] < 0x80 {
			return value, n
		}
	}
	if len(b) < 9 {
		return 0, 0
	}
	return value<<8 | uint64(b[8]), 9
}
