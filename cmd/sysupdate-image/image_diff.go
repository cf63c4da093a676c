package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/image/packages"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
)

const aboutImageDiff = `Say how image A becomes image B: which packages and files were added (+), removed (-)
or changed (~), and what of each changed: type, content, target, device, mode, owner,
xattr, mtime, links.

Files are compared in the canonical form; with --boot, or where one of the two is a
composefs image or a dump and the other can boot, in that which boots. --ignore leaves
aspects out: two builds of one source often differ in mtime alone.

Packages are compared where an image has the database of dpkg, pacman or rpm in it, and
its contents are at hand.

A and B are each a file, directory, deployment, pin, id or reference: see sysupdate-image
image, also for what the canonical form is.

With --json: {"packages": [{"manager", "changes": [{"name", "old", "new"}]}], "files":
[{"path", "kind": "added|removed|changed", "what": [{"aspect", "name", "old", "new",
"oldSize", "newSize"}]}], "unknown": [PATH], "notes": [TEXT]}. Contents have their
fs-verity digests as old and new, where these are known; name is that of an xattr.`

type diffFlags struct {
	imageFlags
	formFlags
	ignore []string
	asJSON bool
}

// A comparison is what image diff says.
type comparison struct {
	Packages []managerDiff `json:"packages"`
	Files    []diff.Change `json:"files"`
	Unknown  []string      `json:"unknown,omitempty"` // files that could not be compared
	Notes    []string      `json:"notes,omitempty"`
}

type managerDiff struct {
	Manager string            `json:"manager"`
	Changes []packages.Change `json:"changes"`
}

func (s *session) imageDiffCommand() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Say how one image becomes another",
		Long:  aboutImageDiff,
		Example: `  sysupdate-image image diff registry.example.org/os:1 registry.example.org/os:2
  sysupdate-image image diff rollback booted
  sysupdate-image image diff --ignore mtime,links 3f60ad1c22b9 /mnt`,
		Args:              needArgs(cobra.ExactArgs(2)),
		ValidArgsFunction: s.completeImages(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ignore, err := parseAspects(f.ignore)
			if err != nil {
				return err
			}
			c, err := s.compare(cmd.Context(), args[0], args[1], &f, ignore)
			if err != nil {
				return err
			}
			if f.asJSON {
				return s.printJSON(c)
			}
			return s.printComparison(c)
		},
	}
	cmd.Flags().StringSliceVar(&f.ignore, "ignore", nil, "leave out the `ASPECTS`, a list with commas")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "as JSON")
	must(cmd.RegisterFlagCompletionFunc("ignore", completeAspects))
	f.formFlags.add(cmd)
	f.imageFlags.add(cmd)
	return cmd
}

func parseAspects(names []string) (map[diff.Aspect]bool, error) {
	ignore := make(map[diff.Aspect]bool)
	known := make(map[diff.Aspect]bool)
	for _, a := range diff.Aspects {
		known[a] = true
	}
	for _, name := range names {
		if !known[diff.Aspect(name)] {
			return nil, usageError{fmt.Errorf("--ignore %s: want some of %v", name, diff.Aspects)}
		}
		ignore[diff.Aspect(name)] = true
	}
	return ignore, nil
}

// compare opens both images and compares them.
func (s *session) compare(ctx context.Context, a, b string, f *diffFlags, ignore map[diff.Aspect]bool) (comparison, error) {
	all, err := s.openImages(&f.imageFlags)
	if err != nil {
		return comparison{}, err
	}
	defer all.Close()
	old, new, err := all.pair(ctx, a, b)
	if err != nil {
		return comparison{}, err
	}
	oldTree, err := treeOf(ctx, old, f.formBeside(old, new))
	if err != nil {
		return comparison{}, err
	}
	newTree, err := treeOf(ctx, new, f.formBeside(new, old))
	if err != nil {
		return comparison{}, err
	}
	d := diff.Trees(oldTree, newTree, ignore)
	c := comparison{Packages: []managerDiff{}, Files: d.Changes, Unknown: d.Unknown}
	if c.Files == nil {
		c.Files = []diff.Change{}
	}
	c.addPackages(old, new)
	return c, nil
}

// pair opens two images with contents by the same algorithm: that of the one
// that says which.
func (i *images) pair(ctx context.Context, a, b string) (old, new *source.Image, err error) {
	if old, err = i.get(ctx, a, 0); err != nil {
		return nil, nil, err
	}
	alg := source.AlgorithmOf(old.Root)
	if new, err = i.get(ctx, b, alg); err != nil {
		return nil, nil, err
	}
	if other := source.AlgorithmOf(new.Root); old.Raw() && alg != other && other != 0 {
		old, err = i.get(ctx, a, other)
	}
	return old, new, err
}

// formBeside returns the form in which a raw image is compared with another: one
// that is made already most likely has the form that boots.
func (f *diffFlags) formBeside(img, other *source.Image) canonical.Form {
	form := f.form()
	if img.Raw() && !other.Raw() && img.Root.Entry("boot") != nil && img.Root.Entry("sysroot") != nil {
		form.Boot = true
	}
	return form
}

// addPackages compares the packages, where both lists can be read.
func (c *comparison) addPackages(old, new *source.Image) {
	before, err := packages.Of(old.FS())
	if err != nil {
		c.note("packages are not compared: %s: %v", old.Name, err)
		return
	}
	after, err := packages.Of(new.FS())
	if err != nil {
		c.note("packages are not compared: %s: %v", new.Name, err)
		return
	}
	for _, manager := range []string{"dpkg", "pacman", "rpm"} {
		a, hasOld := listOf(before, manager)
		b, hasNew := listOf(after, manager)
		switch {
		case !hasOld && !hasNew:
		case a.Unread || b.Unread:
			c.note("packages of %s are not compared: its database has a form that is not read", manager)
		default:
			if changes := packages.Diff(a.Packages, b.Packages); len(changes) > 0 {
				c.Packages = append(c.Packages, managerDiff{manager, changes})
			}
		}
	}
}

func (c *comparison) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

func listOf(lists []packages.List, manager string) (packages.List, bool) {
	for _, l := range lists {
		if l.Manager == manager {
			return l, true
		}
	}
	return packages.List{}, false
}

func (s *session) printComparison(c comparison) error {
	w := bufio.NewWriter(s.out)
	for _, m := range c.Packages {
		added, removed, changed := 0, 0, 0
		var lines strings.Builder
		for _, p := range m.Changes {
			switch {
			case p.Old == "":
				added++
				fmt.Fprintf(&lines, "+ %s %s\n", shown(p.Name), shown(p.New))
			case p.New == "":
				removed++
				fmt.Fprintf(&lines, "- %s %s\n", shown(p.Name), shown(p.Old))
			default:
				changed++
				fmt.Fprintf(&lines, "~ %s %s -> %s\n", shown(p.Name), shown(p.Old), shown(p.New))
			}
		}
		fmt.Fprintf(w, "Packages (%s): %d added, %d removed, %d changed\n%s\n", m.Manager, added, removed, changed, lines.String())
	}
	kinds := make(map[string]int)
	for _, f := range c.Files {
		kinds[f.Kind]++
	}
	fmt.Fprintf(w, "Files: %d added, %d removed, %d changed\n", kinds[diff.Added], kinds[diff.Removed], kinds[diff.Changed])
	for _, f := range c.Files {
		fmt.Fprintln(w, f)
	}
	if len(c.Unknown) > 0 {
		fmt.Fprintf(w, "Not compared, since their digests are of other algorithms: the contents of %s\n", count(len(c.Unknown), "file"))
	}
	for _, note := range c.Notes {
		s.warn(note)
	}
	return w.Flush()
}
