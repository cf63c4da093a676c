package status

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/records"
)

// A FailedBoot is the last boot of a deployment that failed.
type FailedBoot struct {
	deployment.BootFailure
	// Of is the deployment, with no more than its ID if it is gone.
	Of      Deployment
	Journal []string // the end of that boot's journal, as far as it was kept
}

// FailedBoots are the failed boots that are recorded, the newest first.
type FailedBoots struct {
	Boots    []FailedBoot
	Notes    []string // what a reader should know
	Problems []string // what could not be read
}

// FailedOf returns the failed boots of a machine. The error says that its place is not a
// directory.
func FailedOf(at machine.Place) (FailedBoots, error) {
	system, err := machine.Open(at, machine.ToRead)
	if err != nil {
		return FailedBoots{}, err
	}
	defer system.Close()
	return GatherFailed(system), nil
}

// GatherFailed returns the failed boots of a machine. It takes no lock and changes nothing.
func GatherFailed(system *machine.System) FailedBoots {
	s, state := Gather(system), system.State()
	failed := FailedBoots{Problems: s.Problems}
	for id, failure := range state.Failures {
		boot := FailedBoot{BootFailure: failure, Of: Deployment{ID: id}}
		if d := s.find(func(d Deployment) bool { return d.ID == id }); d != nil {
			boot.Of = *d
		}
		journal, err := records.LoadBootJournal(system.Sysroot, id)
		if err == nil && journal.BootID == failure.BootID {
			boot.Journal = journal.Lines
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed.Problems = append(failed.Problems, machine.Problem{What: "journal of a failed boot of deployment " + id.Short(), Err: err}.Error())
		}
		failed.Boots = append(failed.Boots, boot)
	}
	for _, d := range s.Deployments {
		if _, recorded := state.Failures[d.ID]; d.State == Failed && !recorded {
			f := deployment.BootFailure{ID: d.ID, Entry: d.Entry, Reason: d.Why}
			failed.Boots = append(failed.Boots, FailedBoot{BootFailure: f, Of: d})
		}
	}
	slices.SortFunc(failed.Boots, func(a, b FailedBoot) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.ID, b.ID))
	})
	slices.Sort(failed.Problems)
	if i := slices.IndexFunc(s.Notes, func(note string) bool { return strings.HasPrefix(note, onlyRoot) }); i >= 0 {
		failed.Notes = []string{s.Notes[i]}
	}
	return failed
}

// Text returns the failed boots for people, each with what failed and the end of its journal.
func (f FailedBoots) Text() string {
	var b strings.Builder
	if len(f.Boots) == 0 && len(f.Notes) == 0 {
		b.WriteString("No failed boot is recorded.\n")
	}
	for i, boot := range f.Boots {
		if i > 0 {
			b.WriteByte('\n')
		}
		boot.write(&b)
	}
	writeList(&b, "Note", f.Notes)
	writeList(&b, "Problem", f.Problems)
	return printable.Text(b.String())
}

func (f FailedBoot) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s\n", strings.TrimSpace(f.Of.name()+"  "+f.Of.image()))
	fmt.Fprintf(b, "  %s\n", strings.Join(f.about(), ", "))
	for _, line := range f.causes() {
		fmt.Fprintf(b, "  %s\n", line)
	}
	if len(f.Journal) == 0 {
		return
	}
	b.WriteString("  The end of its journal:\n")
	for _, line := range f.Journal {
		fmt.Fprintf(b, "    %s\n", line)
	}
}

// about tells which boot it was.
func (f FailedBoot) about() []string {
	var list []string
	if f.Of.name() != f.ID.Short() {
		list = append(list, f.ID.Short())
	}
	if t, err := time.Parse(time.RFC3339, f.Time); err == nil {
		list = append(list, t.UTC().Format("2006-01-02 15:04 UTC"))
	}
	if f.BootID != "" {
		list = append(list, "boot "+f.BootID)
	}
	if f.Entry != "" {
		list = append(list, "entry "+f.Entry)
	}
	return list
}

// causes tells in a line each what failed.
func (f FailedBoot) causes() []string {
	var lines []string
	if f.Reason != "" {
		lines = append(lines, f.Reason)
	}
	for _, c := range f.Checks {
		lines = append(lines, c.String())
	}
	for _, u := range f.BootFailure.Failed {
		line := u.String() + " failed"
		if u.Description != "" && u.Description != u.Name {
			line += ": " + u.Description
		}
		lines = append(lines, line)
	}
	if len(f.Waiting) > 0 {
		lines = append(lines, "it was still waiting for "+strings.Join(f.Waiting, ", "))
	}
	if len(lines) == 0 {
		lines = append(lines, noReason)
	}
	return lines
}

type failedJSON struct {
	FailedBoots []failedBootJSON `json:"failedBoots"`
	Notes       []string         `json:"notes,omitempty"`
	Problems    []string         `json:"problems,omitempty"`
}

type failedBootJSON struct {
	Deployment  deployment.ID           `json:"deployment"`
	Title       string                  `json:"title,omitempty"`
	Image       string                  `json:"image,omitempty"`
	Version     string                  `json:"version,omitempty"`
	ImageDigest string                  `json:"imageDigest,omitempty"`
	Entry       string                  `json:"entry,omitempty"`
	BootID      string                  `json:"bootID,omitempty"`
	Time        string                  `json:"time,omitempty"`
	Why         string                  `json:"why,omitempty"`
	Reason      string                  `json:"reason,omitempty"`
	Checks      []failedCheckJSON       `json:"checks,omitempty"`
	Units       []deployment.FailedUnit `json:"units,omitempty"`
	WaitingFor  []string                `json:"waitingFor,omitempty"`
	Journal     []string                `json:"journal,omitempty"`
}

type failedCheckJSON struct {
	Path   string `json:"check"`
	Result string `json:"result"`
	Status string `json:"status,omitempty"`
	Output string `json:"output,omitempty"`
}

// JSON returns the failed boots as a value for encoding/json.
func (f FailedBoots) JSON() any {
	all := failedJSON{FailedBoots: []failedBootJSON{}, Notes: f.Notes, Problems: f.Problems}
	for _, boot := range f.Boots {
		b := failedBootJSON{
			Deployment: boot.ID, Title: boot.Of.Title, Image: boot.Of.image(), Version: boot.Of.Origin.Version,
			ImageDigest: cmp.Or(boot.Image, boot.Of.Origin.ManifestDigest),
			Entry:       boot.Entry, BootID: boot.BootID, Time: boot.Time, Why: boot.Why(), Reason: boot.Reason,
			Units: boot.BootFailure.Failed, WaitingFor: boot.Waiting, Journal: boot.Journal,
		}
		for _, c := range boot.Checks {
			b.Checks = append(b.Checks, failedCheckJSON(c))
		}
		all.FailedBoots = append(all.FailedBoots, b)
	}
	return all
}
