package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// addAlgorithm adds --algorithm.
func addAlgorithm(cmd *cobra.Command, value *string, byDefault, usage string) {
	cmd.Flags().StringVar(value, "algorithm", byDefault, usage)
	completeValues(cmd, "algorithm", algorithmNames...)
}

// algorithmNames are the values of --algorithm.
var algorithmNames = []string{"sha256", "sha512"}

// parseAlgorithm reads --algorithm.
func parseAlgorithm(name string) (digest.Algorithm, error) {
	alg, err := digest.ParseAlgorithm(name)
	if err != nil {
		return 0, usageError{fmt.Errorf("--algorithm: %w", err)}
	}
	return alg, nil
}

// addVersion adds --format-version.
func addVersion(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, "format-version", "1", "format version of the image: `0|1|2|auto`")
	completeValues(cmd, "format-version", versionNames...)
}

// versionNames are the values of --format-version.
var versionNames = []string{"0", "1", "2", "auto"}

// parseVersion reads --format-version.
func parseVersion(s string) (int, error) {
	versions := map[string]int{"0": erofs.V0, "1": erofs.V1, "2": erofs.V2, "auto": erofs.Auto}
	v, ok := versions[s]
	if !ok {
		return 0, usageError{fmt.Errorf("--format-version %s: want 0, 1, 2 or auto", s)}
	}
	return v, nil
}
