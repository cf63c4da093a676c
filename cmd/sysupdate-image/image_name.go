package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// aboutIMAGE is the help on the argument IMAGE.
const aboutIMAGE = `

IMAGE is a file, directory, deployment, pin, id or reference: see sysupdate-image image.`

// imageNamed returns what source.Open calls the image that name stands for:
// of a deployment the id, if there is no file of that name; all else stays.
func (s *session) imageNamed(name string) (string, error) {
	if _, err := os.Stat(name); err == nil || !mayBeWord(name) {
		return name, nil
	}
	id, err := s.deploymentNamed(name)
	if err != nil {
		return "", fmt.Errorf("no file or directory %s, and %w; a container image is docker.io/library/%s", name, err, name)
	}
	return string(id), nil
}

// mayBeWord reports whether name can be a role or the name of a pin: it is not a path,
// a reference or the beginning of an id.
func mayBeWord(name string) bool { return !strings.ContainsAny(name, "/:") && !mayBeID(name) }

func mayBeID(name string) bool { return strings.Trim(name, "0123456789abcdef") == "" }

// storedNamed returns the id of the image of repo that name stands for: it is how
// the id begins, or names a deployment.
func (s *session) storedNamed(repo *repo.Repository, name string) (string, error) {
	if mayBeID(name) {
		return repo.FindImage(name)
	}
	id, err := s.deploymentNamed(name)
	return string(id), err
}

// deploymentNamed returns the deployment that name stands for, as State.Find.
func (s *session) deploymentNamed(name string) (deployment.ID, error) {
	system, err := machine.Open(s.sysroot)
	if err != nil {
		return "", err
	}
	defer system.Close()
	return system.State().Find(name)
}
