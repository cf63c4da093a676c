package merge

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A RecordMerge tells what became of a file that was merged record by record.
// A record is known by its first field, such as the name of a user.
type RecordMerge struct {
	Path   string
	Local  []string // changed here only, so they stay as they are here
	New    []string // changed by the image only, so they are as it has them
	Both   []string // changed by both, so they stay as they are here
	Merged []string // changed by both, with the members that either side wants
}

// recordFiles are the files with records, by their paths, and which fields of
// theirs are lists of users, counted from 0: see group(5) and gshadow(5).
var recordFiles = map[string][]int{
	"/passwd": nil, "/group": {3}, "/shadow": nil, "/gshadow": {2, 3}, "/subuid": nil, "/subgid": nil,
}

// mergesRecords reports whether the files at path are merged record by record.
func mergesRecords(path string, b, l, n *tree.Node) bool {
	_, ok := recordFiles[path]
	return ok && isAccounts(l) && isAccounts(n) && (b == nil || isAccounts(b))
}

// isAccounts reports whether n may be a file with records: one that is larger than
// any is merged like other files.
func isAccounts(n *tree.Node) bool {
	return n.IsRegular() && diff.Size(n) <= uint64(limits.Accounts.Value)
}

// mergeRecordFile merges three files of records; b may be nil.
func (m *merger) mergeRecordFile(path string, b, l, n *tree.Node) (*tree.Node, error) {
	var base records
	local, err := m.readRecords(path, l)
	if errors.Is(err, ErrGone) {
		m.result.Warnings = append(m.result.Warnings, path+": it disappeared during the merge, so it is as the new image has it")
		return n, nil
	}
	if err != nil {
		return nil, err
	}
	next, err := m.readRecords(path, n)
	if err != nil {
		return nil, err
	}
	if b != nil {
		if base, err = m.readRecords(path, b); err != nil {
			return nil, err
		}
	}
	merged, report := mergeRecords(base, local, next, recordFiles[path])
	report.Path = path
	if len(report.Local)+len(report.New)+len(report.Both)+len(report.Merged) > 0 {
		m.result.Records = append(m.result.Records, report)
	}
	m.result.Warnings = append(m.result.Warnings, clashes(path, merged, local, next)...)
	return m.recordNode(b, l, n, merged.like(local, next))
}

func (m *merger) readRecords(path string, n *tree.Node) (records, error) {
	data, err := m.read(n)
	if err != nil {
		return records{}, fmt.Errorf("cannot merge %s: %w", path, err)
	}
	return parseRecords(data), nil
}

// recordNode returns the file for merged records: l or n if it is like one of
// them, else a new one that is kept inline, whatever its size.
func (m *merger) recordNode(b, l, n *tree.Node, content []byte) (*tree.Node, error) {
	out := &tree.Node{Mode: tree.TypeRegular, Nlink: 1, Inline: content}
	out.Size = uint64(len(out.Inline))
	mergeMetadata(out, b, l, n)
	if out.Mtime.Compare(n.Mtime) < 0 {
		// Caches of these files look at the time.
		out.Mtime = n.Mtime
	}
	for _, like := range []*tree.Node{n, l} {
		if same, err := m.same(out, like); same || err != nil {
			return like, err
		}
	}
	return out, nil
}

// records are the lines of a file, grouped by their first field: subuid(5) has
// several lines for a user.
type records struct {
	keys  []string            // in the order of the file
	lines map[string][]string // with line feeds
	raw   []byte              // what they were read from
}

func parseRecords(data []byte) records {
	r := records{lines: map[string][]string{}, raw: data}
	for line := range bytes.Lines(data) {
		text := strings.TrimSuffix(string(line), "\n")
		key, _, _ := strings.Cut(text, ":")
		if key == "" || strings.HasPrefix(key, "#") {
			key = text + "\n" // a comment or an empty line stands for itself
		}
		if _, ok := r.lines[key]; !ok {
			r.keys = append(r.keys, key)
		}
		r.lines[key] = append(r.lines[key], text+"\n")
	}
	return r
}

func (r records) encode() []byte {
	var b bytes.Buffer
	for _, key := range r.keys {
		for _, line := range r.lines[key] {
			b.WriteString(line)
		}
	}
	return b.Bytes()
}

// like returns the content for r. If one of the files says the same, it is that
// file byte for byte, even without a line feed at its end.
func (r records) like(files ...records) []byte {
	content := r.encode()
	for _, f := range files {
		if bytes.Equal(f.encode(), content) {
			return f.raw
		}
	}
	return content
}

// mergeRecords merges local changes of records into new ones. lists are the
// numbers of the fields that are lists, see mergeMembers. The order is
// that of local; what the image adds comes after what it follows there, so
// that "+" of nsswitch.conf's compat mode stays last.
func mergeRecords(base, local, next records, lists []int) (records, RecordMerge) {
	var report RecordMerge
	out := records{lines: map[string][]string{}}
	for key := range eachKey(base, local, next) {
		b, l, n := base.lines[key], local.lines[key], next.lines[key]
		here, there := !slices.Equal(b, l), !slices.Equal(b, n)
		take := l
		switch {
		case slices.Equal(l, n):
		case here && there:
			if both, ok := mergeMembers(b, l, n, lists); ok && !slices.Equal(both, l) {
				take = both
				report.Merged = append(report.Merged, key)
				break
			}
			report.Both = append(report.Both, key)
		case here:
			report.Local = append(report.Local, key)
		default:
			take = n
			report.New = append(report.New, key)
		}
		if take != nil {
			out.lines[key] = take
		}
	}
	out.keys = mergeOrder(out.lines, local.keys, next.keys)
	return out, report
}

// eachKey yields the keys of several files, each once.
func eachKey(files ...records) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for _, f := range files {
			for _, key := range f.keys {
				if !seen[key] && !yield(key) {
					return
				}
				seen[key] = true
			}
		}
	}
}

// mergeOrder returns the keys of lines: those in local in that order, and each
// other one after the key that it follows in next.
func mergeOrder(lines map[string][]string, local, next []string) []string {
	after := map[string][]string{} // "" is the beginning
	known := map[string]bool{}
	for _, key := range local {
		known[key] = true
	}
	last := ""
	for _, key := range next {
		switch _, wanted := lines[key]; {
		case wanted && known[key]:
			last = key
		case wanted:
			after[last] = append(after[last], key)
		}
	}
	keys := after[""]
	delete(after, "")
	for _, key := range local {
		if _, wanted := lines[key]; wanted {
			keys = append(append(keys, key), after[key]...)
		}
	}
	return keys
}

// clashes returns a warning for each user or group ID that the merge gave to
// two names: one made here and one that the image brought with it.
func clashes(path string, merged, local, next records) []string {
	if path != "/passwd" && path != "/group" {
		return nil
	}
	names := map[string][]string{}
	for _, key := range merged.keys {
		if id := identity(merged, key); id != "" {
			names[id] = append(names[id], key)
		}
	}
	var warnings []string
	for _, id := range slices.Sorted(maps.Keys(names)) {
		if len(names[id]) > 1 && !allHave(local, names[id], id) && !allHave(next, names[id], id) {
			warnings = append(warnings, fmt.Sprintf("%s: %s have the same ID %s", path, strings.Join(names[id], " and "), id))
		}
	}
	return warnings
}

// identity returns the third field of a record, the number of a user or group.
func identity(r records, key string) string {
	if len(r.lines[key]) == 0 {
		return ""
	}
	fields := strings.Split(r.lines[key][0], ":")
	if len(fields) < 4 {
		return ""
	}
	return fields[2]
}

// allHave reports whether all names have the ID in the file already.
func allHave(file records, names []string, id string) bool {
	for _, name := range names {
		if identity(file, name) != id {
			return false
		}
	}
	return true
}
