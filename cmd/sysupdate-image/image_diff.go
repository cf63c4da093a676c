package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/diff"
	"github.com/sysupdate-image/sysupdate-image/internal/inspect"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

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
		Use:               "diff A B",
		Short:             "Compare two images",
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
