package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

const aboutImageDiff = `Compare two images: show which packages, units, users and groups, kernel arguments and
files were added (+), removed (-) or changed (~) from A to B, how the sizes of packages
changed, and for changed files which of type, content, target, device, mode, owner, xattr,
mtime and links.

Files are compared in the canonical form; with --boot, or if one image is a composefs
image or a dump and the other can boot, in the form that boots. --ignore leaves aspects
out: two builds from the same source often differ only in mtime.

Packages are compared if the database of dpkg, pacman or rpm is in the images and its
contents are available; their sizes are those in the database. Without packages, the sizes
are those of directories. Units are compared by the links that enable, alias or mask them,
users and groups by passwd, group and sysusers.d. Where contents are not available, as in a
dump, a warning says what was not compared.

With --html, the output is a page for a browser with maps of the sizes, in one file that
loads nothing:

    sysupdate-image image diff --html rollback booted > diff.html

A and B are each a file, directory, deployment, pin, id or reference: see sysupdate-image
image, also for the canonical form.

With --json: {"old", "new", "packages": [{"manager", "changes": [{"name", "old", "new"}]}],
"units": [{"name", "old", "new"}], "accounts": [{"name", "old", "new"}], "kernelArguments":
{"added", "removed"}, "sizes": {"old", "new", "packages": [{"name", "old", "new"}],
"directories": [{"name", "old", "new"}]}, "files": [{"path", "kind": "added|removed|changed", "what": [{"aspect", "name", "old", "new",
"oldSize", "newSize"}]}], "unknown": [PATH], "notes": [TEXT]}. Contents have their
fs-verity digests as old and new, where these are known; name is the name of an xattr.`

type diffFlags struct {
	imageFlags
	formFlags
	ignore []string
	asJSON bool
	asHTML bool
}

func (s *session) imageDiffCommand() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two images",
		Long:  aboutImageDiff,
		Example: `  sysupdate-image image diff registry.example.org/os:1 registry.example.org/os:2
  sysupdate-image image diff rollback booted
  sysupdate-image image diff --ignore mtime,links 3f60ad1c22b9 /mnt`,
		Args:              needArgs(cobra.ExactArgs(2)),
		ValidArgsFunction: s.completeImages(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ignore, err := diff.ParseAspects(f.ignore)
			if err != nil {
				return usageError{fmt.Errorf("--ignore %w", err)}
			}
			c, err := s.compare(cmd.Context(), args[0], args[1], &f, ignore)
			if err != nil {
				return err
			}
			switch {
			case f.asJSON:
				return s.PrintJSON(c)
			case f.asHTML:
				return s.PrintComparisonHTML(c)
			}
			return s.PrintComparison(c)
		},
	}
	cmd.Flags().StringSliceVar(&f.ignore, "ignore", nil, "ignore `ASPECTS`, separated by commas")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&f.asHTML, "html", false, "print a page for a browser, with maps of the sizes")
	exclude(cmd, [2]string{"json", "html"})
	must(cmd.RegisterFlagCompletionFunc("ignore", completeAspects))
	f.formFlags.add(cmd)
	f.imageFlags.add(cmd)
	return cmd
}

// compare opens both images and compares them.
func (s *session) compare(
	ctx context.Context, a, b string, f *diffFlags, ignore diff.Aspects,
) (inspect.Comparison, error) {
	all, err := s.openImages(&f.imageFlags)
	if err != nil {
		return inspect.Comparison{}, err
	}
	defer all.Close()
	c, err := all.Compare(ctx, a, b, f.form(), ignore)
	return c, ui.AdviseArch(err)
}
