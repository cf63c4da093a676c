package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/image/lint"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

// lintFlags are those of both commands.
type lintFlags struct {
	imageFlags
	rootfs                   string // of container lint
	bootc                    bool   // container lint
	fatalWarnings, list, all bool
	asJSON, asSARIF          bool
	skip                     []string
}

// add adds the flags that bootc has, too.
func (f *lintFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.fatalWarnings, "fatal-warnings", false, "fail for warnings, too")
	cmd.Flags().BoolVar(&f.list, "list", false, "list the rules and check nothing")
	cmd.Flags().StringArrayVar(&f.skip, "skip", nil, "leave out the rule `NAME`; can be repeated")
	cmd.Flags().BoolVar(&f.all, "no-truncate", false, "print all findings of a rule, not only the first 5")
	completeValues(cmd, "skip", lint.Names()...)
}

// lint checks an image, or lists the rules.
func (s *session) lint(cmd *cobra.Command, name string, f lintFlags) error {
	if s.sysroot != "" {
		return usageError{fmt.Errorf("%s: --sysroot cannot be used here; name the directory", nameOf(cmd))}
	}
	skip, err := s.skipped(f)
	switch {
	case err != nil:
		return err
	case f.list && f.asJSON:
		return s.PrintJSON(lint.Rules)
	case f.list:
		return s.PrintRules(lint.Rules)
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	report, err := lint.Name(cmd.Context(), name, lint.Options{Source: opts, Bootc: f.bootc, Skip: skip})
	if err != nil {
		return ui.AdviseArch(err)
	}
	switch {
	case f.asSARIF:
		err = s.PrintLintSARIF(report, lint.Rules)
	case f.asJSON:
		err = s.PrintJSON(report)
	default:
		err = s.PrintLint(report, f.all)
	}
	return cmp.Or(err, ui.LintVerdict(report, f.fatalWarnings))
}

// skipped returns the rules to leave out.
func (s *session) skipped(f lintFlags) (map[string]bool, error) {
	skip, unknown := lint.Choose(f.skip)
	for _, name := range unknown {
		if !f.bootc {
			return nil, usageError{fmt.Errorf("--skip %s: no such rule; --list shows all", name)}
		}
		s.Warn(fmt.Sprintf("--skip %s: no such rule", name))
	}
	return skip, nil
}
