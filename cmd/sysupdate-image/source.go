package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// sourceFlags tell how to reach a registry.
type sourceFlags struct {
	authFile, policy string
	insecureTLS      bool
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.authFile, "authfile", "", "`FILE` with credentials, see containers-auth.json(5)")
	cmd.Flags().StringVar(&f.policy, "policy", "", "`FILE` with the signature policy, see containers-policy.json(5)")
	cmd.Flags().BoolVar(&f.insecureTLS, "insecure-registry", false,
		"allow plain HTTP and unverified certificates of the registry")
	completeFiles(cmd, "authfile", "policy")
}

func (f *sourceFlags) options() oci.Options {
	return oci.Options{AuthFile: f.authFile, PolicyFile: f.policy, InsecureTLS: f.insecureTLS, Gzip: oci.Gzip(os.Getenv(oci.GzipVariable))}
}

func addReuseFlag(cmd *cobra.Command, dirs *[]string) {
	cmd.Flags().StringArrayVar(dirs, "reuse", nil,
		"copy layers from the repository in `DIR` instead of fetching them (can be repeated)")
	must(cmd.MarkFlagDirname("reuse"))
}
