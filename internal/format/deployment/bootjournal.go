package deployment

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"
)

// BootJournalFile returns where the BootJournal of the deployment's last BootFailure is kept.
func (id ID) BootJournalFile() string { return BootFailuresDir + "/" + string(id) + ".journal" }

// A BootJournal is the end of the journal of a boot that failed, as journalctl(1) shows it.
type BootJournal struct {
	BootID string
	Lines  []string
}

// JournalLines is how many lines are kept of a journal, and journalLineSize how much of each
// line, in bytes.
const (
	JournalLines    = 200
	journalLineSize = 1000
)

// journalHead begins the first line, before the id of the boot.
const journalHead = "# boot "

// Last returns the journal of a boot with the last lines of a text, as many as are kept.
func Last(bootID, text string) BootJournal {
	j := BootJournal{BootID: bootID}
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for _, line := range all[max(0, len(all)-JournalLines):] {
		if line = strings.ToValidUTF8(line, "\uFFFD"); len(line) > journalLineSize {
			line = shorten(line, journalLineSize)
		}
		if line != "" {
			j.Lines = append(j.Lines, line)
		}
	}
	return j
}

// shorten returns at most size bytes of a text, with an ellipsis for the rest.
func shorten(text string, size int) string {
	const ellipsis = "…"
	end := size - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

// ParseBootJournal reads a BootJournalFile.
func ParseBootJournal(data []byte) (BootJournal, error) {
	if !utf8.Valid(data) {
		return BootJournal{}, errors.New("not UTF-8")
	}
	head, rest, _ := bytes.Cut(data, []byte("\n"))
	id, hasHead := strings.CutPrefix(string(head), journalHead)
	if !hasHead {
		return BootJournal{}, errors.New("the first line does not name a boot")
	}
	j := BootJournal{BootID: id}
	for line := range strings.Lines(string(rest)) {
		j.Lines = append(j.Lines, strings.TrimSuffix(line, "\n"))
	}
	return j, nil
}

// Encode returns the journal as text, for people as well.
func (j BootJournal) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(journalHead + j.BootID + "\n")
	for _, line := range j.Lines {
		b.WriteString(line + "\n")
	}
	return b.Bytes()
}
