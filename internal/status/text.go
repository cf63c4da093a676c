package status

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
)

// Text returns the status for people: a paragraph for each deployment, marked with ● if
// it is booted and with → if it boots next, then notes and problems. Names of files and
// images are escaped so that a terminal only shows them.
func (s Status) Text() string {
	var b strings.Builder
	if s.Running && s.Booted() == nil {
		b.WriteString("This machine was not booted from an image.\n")
	} else if len(s.Deployments) == 0 {
		b.WriteString("There are no deployments.\n")
	}
	width := s.roleWidth()
	for i, d := range s.Deployments {
		if i > 0 || b.Len() > 0 {
			b.WriteByte('\n')
		}
		d.write(&b, width, s)
	}
	for _, f := range s.Foreign {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		f.write(&b, width)
	}
	if lines := s.summary(); len(lines) > 0 {
		b.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	}
	writeList(&b, "Note", s.Notes)
	writeList(&b, "Problem", s.Problems)
	return printable.Text(b.String())
}

func (s Status) roleWidth() int {
	width := 0
	for _, d := range s.Deployments {
		width = max(width, utf8.RuneCountInString(d.role()))
	}
	if len(s.Foreign) > 0 {
		width = max(width, len(foreignRole))
	}
	return width
}

// write writes what people ask about a deployment, the most asked first.
func (d Deployment) write(b *strings.Builder, width int, s Status) {
	head := strings.TrimSpace(d.name() + "  " + d.image())
	fmt.Fprintf(b, "%s %-*s  %s\n", d.marker(), width, d.role(), head)
	indent := strings.Repeat(" ", width+5)
	if details := d.details(s); len(details) > 0 {
		fmt.Fprintf(b, "%s%s\n", indent, strings.Join(details, ", "))
	}
	if s.Verbose {
		d.writeMore(b, indent)
	}
	if d.Pinned {
		fmt.Fprintf(b, "%s%s\n", indent, strings.TrimSpace("pinned "+d.PinName))
	}
	if text := d.outlook(indent); text != "" {
		fmt.Fprintf(b, "%s%s\n", indent, text)
	}
}

func (d Deployment) marker() string {
	marker := []rune("  ")
	if d.Booted {
		marker[0] = '●'
	}
	if d.Next {
		marker[1] = '→'
	}
	return string(marker)
}

func (d Deployment) role() string {
	switch {
	case d.Booted:
		return "booted"
	case d.Staged:
		return "staged"
	case d.Next:
		return "next"
	case d.Rollback:
		return "rollback"
	case d.State == Failed:
		return "failed"
	}
	return "other"
}

// name returns the title that the loader shows, with the version if it lacks that, as
// bootc's titles do; or else the version or the id.
func (d Deployment) name() string {
	title, version := printable.Title(d.Title), printable.Title(d.Origin.Version)
	switch {
	case title != "" && hasWord(title, version):
		return title
	case title != "":
		return bootentry.Title(title, version)
	case version != "":
		return version
	}
	return d.ID.Short()
}

// hasWord says whether a title has a word, or several, perhaps in parentheses.
func hasWord(title, word string) bool { return strings.Contains(words(title), words(word)) }

// words returns the words of a text without parentheses, with a space around each.
func words(text string) string {
	list := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ()", r) })
	return " " + strings.Join(list, " ") + " "
}

func (d Deployment) image() string {
	return strings.TrimPrefix(d.Origin.ImageReference(), "docker://")
}

// Describe returns the deployment in a few words: its role and its name.
func (d Deployment) Describe() string { return d.role() + ": " + d.name() }

// details tells what people want to know of a deployment, but for its fate.
func (d Deployment) details(s Status) []string {
	var list []string
	if d.name() != d.ID.Short() {
		list = append(list, d.ID.Short())
	}
	if d.Origin.Kernel != "" {
		kernel := "kernel " + d.Origin.Kernel
		if d.Origin.BootType == deployment.BootUKI {
			kernel += " (UKI)"
		}
		list = append(list, kernel)
	}
	if t := when(d.Origin.Created); t != "" {
		if ago := s.ago(d.Origin.Created); ago != "" {
			t += " (" + ago + ")"
		}
		list = append(list, "built "+t)
	}
	if strings.Contains(d.Origin.ManifestDigest, ":") {
		list = append(list, shortDigest(d.Origin.ManifestDigest))
	}
	if d.Origin.Signature != "" {
		list = append(list, "signature: "+d.Origin.Signature)
	}
	if d.VerityOptional {
		list = append(list, "fs-verity optional")
	}
	return list
}

// writeMore writes what only status --verbose tells.
func (d Deployment) writeMore(b *strings.Builder, indent string) {
	for _, row := range []struct{ name, value string }{
		{"deployment", string(d.ID)}, {"image", d.Origin.ManifestDigest}, {"boot entry", d.Entry},
		{"signature policy", d.Origin.Policy}, {"architecture", d.Architecture},
	} {
		if row.value != "" {
			fmt.Fprintf(b, "%s%s %s\n", indent, row.name, row.value)
		}
	}
}

// outlook tells what will happen to the deployment, or has happened, unless its role
// already does. All lines but the first begin with indent.
func (d Deployment) outlook(indent string) string {
	switch {
	case d.State == Failed:
		return fmt.Sprintf("failed %s: %s\n%sapply skips this image; retry with apply --force", times(d.TriesDone), d.Why, indent)
	case d.State == Broken:
		return d.Why
	case d.Staged && d.Locked:
		return "locked: stays staged until it is unlocked"
	case d.Staged && d.Booted:
		return "stays the next to boot"
	case d.Staged && !d.Next:
		return "is published once this system shuts down, but another boots next"
	case d.Staged && d.Why != "":
		return "boots next, once this system shuts down; " + d.Why
	case d.Staged && d.SoftReboot:
		return "boots next, once this system shuts down, also by a soft reboot"
	case d.Staged:
		return "boots next, once this system shuts down"
	case d.State == Trying && d.Booted:
		text := fmt.Sprintf("on trial: %s; tries left: %d", cmp.Or(d.Why, "this boot is not yet marked good"), d.TriesLeft)
		if d.Miscount != "" {
			text += "\n" + indent + d.Miscount
		}
		return text
	case d.State == Trying && d.Why != "":
		return fmt.Sprintf("on trial, failed %s: %s; tries left: %d", times(d.TriesDone), d.Why, d.TriesLeft)
	case d.State == Trying:
		return fmt.Sprintf("on trial; tries left: %d", d.TriesLeft)
	case d.State == NoEntry:
		return "has no boot entry"
	case d.Booted && d.Why != "":
		return "degraded: " + d.Why
	}
	return ""
}

func times(n uint) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func writeList(b *strings.Builder, title string, list []string) {
	if len(list) == 0 {
		return
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	for _, line := range list {
		fmt.Fprintf(b, "%s: %s\n", title, line)
	}
}
