package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// The values of --format are bootc's.
const (
	formatHuman = "humanreadable"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

func addFormatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "", "print in `FORMAT`: humanreadable, json or yaml")
	completeValues(cmd, "format", formatHuman, formatJSON, formatYAML)
}

// formatOf returns the format that --format or --json asks for, or the other one.
func formatOf(cmd *cobra.Command, format string, asJSON bool, other string) (string, error) {
	switch {
	case format == formatHuman || format == formatJSON || format == formatYAML:
		return format, nil
	case format != "" || cmd.Flags().Changed("format"):
		return "", usageError{fmt.Errorf("%s: --format %q: want humanreadable, json or yaml", nameOf(cmd), format)}
	case asJSON:
		return formatJSON, nil
	}
	return other, nil
}

// printAs prints a value as JSON or YAML.
func (s *session) printAs(format string, v any) error {
	if format == formatYAML {
		return s.PrintYAML(v)
	}
	return s.PrintJSON(v)
}
