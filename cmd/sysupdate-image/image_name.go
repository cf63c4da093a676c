package main

import (
	"fmt"

	"github.com/sysupdate-image/sysupdate-image/internal/status"
)

// deploymentNamed returns the id of the deployment that name stands for: booted,
// staged, next or rollback. Any other name stays.
func (s *session) deploymentNamed(name string) (string, error) {
	is := map[string]func(status.Deployment) bool{
		"booted":   func(d status.Deployment) bool { return d.Booted },
		"staged":   func(d status.Deployment) bool { return d.Staged },
		"next":     func(d status.Deployment) bool { return d.Next },
		"rollback": func(d status.Deployment) bool { return d.Rollback },
	}[name]
	if is == nil {
		return name, nil
	}
	st, err := status.Of(s.sysroot)
	if err != nil {
		return "", err
	}
	for _, d := range st.Deployments {
		if is(d) {
			return string(d.ID), nil
		}
	}
	return "", fmt.Errorf("there is no %s deployment (a reference of that name is docker.io/library/%s)", name, name)
}
