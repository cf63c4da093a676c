// Package lint checks whether an image will boot, update and stay apart from other
// machines: before anybody installs it, and mostly while it is built. It hides how each
// rule looks at an image, and reads a tree as the machine will: links lead nowhere but
// into the image.
//
//	report, err := lint.Run(ctx, lint.Image{Root: root, Open: open, Now: time.Now()}, nil)
//
// Some rules are bootc's, under its names and with its levels.
package lint

import (
	"context"
	"io"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/system"
)

// An Image is what is checked.
type Image struct {
	Root *tree.Node // as layers or a directory have it
	Open func(*tree.Node) (io.ReadCloser, error)
	Arch string // as GOARCH

	// Running says that the tree is the root of the container in which the image is
	// built: not all that is there will be part of the image.
	Running bool

	// Bootc has images without bootc and ostree checked for what only these need, as bootc
	// itself does.
	Bootc bool

	Now    time.Time
	Layers []Layer // of a container image
}

// A Layer is a layer of a container image.
type Layer struct {
	Digest  string
	Secrets []string // see SecretsIn; those of the layers before it included
}

// A Level says how bad a finding is.
type Level string

// The levels, as for bootc.
const (
	Fatal   Level = "fatal"   // the image does not boot, or cannot be installed or updated
	Warning Level = "warning" // something most likely to be mended
)

// A Rule is what an image should be like. What breaks it matters for one reason, and is
// mended in one way, unless a finding has its own.
type Rule struct {
	Name        string `json:"name"`
	Level       Level  `json:"level"`
	Bootc       bool   `json:"bootc"`       // it is one of bootc's
	Description string `json:"description"` // what it wants
	Why         string `json:"why"`         // why that matters
	Mend        string `json:"mend"`        // how to mend it

	run func(ctx context.Context, t *target) error
}

// A Finding is one thing that breaks a rule.
type Finding struct {
	Rule  string `json:"rule"`
	Level Level  `json:"level"`
	Path  string `json:"path"` // absolute; "/" for the whole image
	Line  int    `json:"line,omitempty"`
	What  string `json:"what"`
	Why   string `json:"why"`
	Mend  string `json:"mend"`
}

// MostFindings is how many findings of one rule are listed.
const MostFindings = 1000

// A Report is what was found.
type Report struct {
	Findings []Finding      `json:"findings"`
	Omitted  map[string]int `json:"omitted,omitempty"` // findings beyond MostFindings, by rule
	Notes    []string       `json:"notes"`             // what else there is to know
	Kept     []string       `json:"kept"`              // the rules that the image keeps
	Skipped  []string       `json:"skipped"`           // those that were not to be checked
	Failed   []Failure      `json:"failed"`            // those that could not be checked
}

// A Failure is a rule that could not be checked, since a file could not be read.
type Failure struct {
	Rule string `json:"rule"`
	Why  string `json:"why"`
}

// Count returns how many rules of a level are broken.
func (r *Report) Count(level Level) (n int) {
	seen := make(map[string]bool)
	for _, f := range r.Findings {
		if f.Level == level && !seen[f.Rule] {
			n++
		}
		seen[f.Rule] = true
	}
	return n
}

// Run checks an image. It leaves out the rules that are named in skip. An error says that
// the image could not be checked at all.
func Run(ctx context.Context, img Image, skip map[string]bool) (Report, error) {
	t, err := newTarget(img)
	if err != nil {
		return Report{}, err
	}
	for _, c := range Rules {
		if skip[c.Name] {
			t.report.Skipped = append(t.report.Skipped, c.Name)
			continue
		}
		t.rule, t.found = c, 0
		err := c.run(ctx, t)
		switch {
		case ctx.Err() != nil:
			return Report{}, ctx.Err()
		case err != nil:
			t.report.Failed = append(t.report.Failed, Failure{c.Name, err.Error()})
		case t.found == 0:
			t.report.Kept = append(t.report.Kept, c.Name)
		}
	}
	return t.report, nil
}

// A target is an image while it is checked.
type target struct {
	Image
	files    files
	release  map[string]string // os-release(5)
	kernel   system.Kernel
	noKernel error // why there is no kernel

	initramfs    *inInitramfs // see lookInside
	initramfsErr error

	rule   Rule
	found  int // findings of the rule
	report Report
}

func newTarget(img Image) (*target, error) {
	t := &target{Image: img, files: newFiles(img)}
	t.report = Report{Findings: []Finding{}, Notes: []string{}, Kept: []string{}, Skipped: []string{}, Failed: []Failure{}}
	var err error
	if t.release, err = system.Release(t.files); err != nil {
		return nil, err
	}
	t.kernel, t.noKernel = system.FindKernel(img.Root)
	return t, nil
}

// find adds a finding of the rule that is checked.
func (t *target) find(path, what string) { t.add(Finding{Path: path, What: what}) }

// add adds a finding of the rule that is checked. What it does not say is as the rule says it.
func (t *target) add(f Finding) {
	if t.found++; t.found > MostFindings {
		if t.report.Omitted == nil {
			t.report.Omitted = make(map[string]int)
		}
		t.report.Omitted[t.rule.Name]++
		return
	}
	f.Rule, f.Level = t.rule.Name, t.rule.Level
	if f.Why == "" {
		f.Why = t.rule.Why
	}
	if f.Mend == "" {
		f.Mend = t.rule.Mend
	}
	t.report.Findings = append(t.report.Findings, f)
}

// note adds something that is no finding.
func (t *target) note(text string) { t.report.Notes = append(t.report.Notes, text) }
