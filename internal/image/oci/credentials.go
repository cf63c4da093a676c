package oci

import (
	"errors"
	"fmt"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/types"
)

// credentials are what a registry is asked with.
type credentials struct {
	types.DockerAuthConfig
	registry string
	file     string // they come from, or would; empty if there may be several
}

func readCredentials(sys *types.SystemContext, name reference.Named) (credentials, error) {
	c := credentials{registry: reference.Domain(name), file: sys.AuthFilePath}
	err := checkAuthFiles(sys)
	if err == nil {
		c.DockerAuthConfig, err = config.GetCredentialsForRef(sys, name)
	}
	if err != nil {
		return c, fmt.Errorf("cannot read credentials for %s%s: %w", c.registry, c.where(), err)
	}
	return c, nil
}

func (c credentials) where() string {
	if c.file == "" {
		return ""
	}
	return " in " + c.file
}

// String says what there is, after the name of what is refused.
func (c credentials) String() string {
	if c.DockerAuthConfig == (types.DockerAuthConfig{}) {
		return fmt.Sprintf("no credentials for %s%s", c.registry, c.where())
	}
	return fmt.Sprintf("the credentials for %s%s are wrong, or do not suffice", c.registry, c.where())
}

// A deniedError is that of a registry that wants other credentials.
type deniedError struct {
	err  error
	with credentials
}

func (e *deniedError) Error() string { return e.err.Error() }
func (e *deniedError) Unwrap() error { return e.err }

// denied puts the credentials into an error that may be due to them.
func (c credentials) denied(err error) error {
	if err == nil || !isUnauthorized(err) {
		return err
	}
	return &deniedError{err, c}
}

// whyDenied says which credentials an error is about.
func whyDenied(err error) string {
	var denied *deniedError
	if errors.As(err, &denied) {
		return denied.with.String()
	}
	return "its credentials are missing or wrong"
}
