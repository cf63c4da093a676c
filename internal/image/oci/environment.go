package oci

import (
	"slices"
	"strings"
)

// noHome is a directory that does not exist: only root could make it.
const noHome = "/nonexistent"

// SystemEnvironment returns what has to be set and unset in the environment of a
// process so that the container libraries read the files of the system alone: those
// below /etc, /run and /usr. It is for root, for whom a home directory or a variable
// that was kept by su or sudo must not override /etc/containers. Proxies stay, and
// so do SSL_CERT_FILE and SSL_CERT_DIR, which an administrator sets for this program.
func SystemEnvironment(environ []string) (set map[string]string, unset []string) {
	for _, variable := range environ {
		if name, _, _ := strings.Cut(variable, "="); isContainers(name) {
			unset = append(unset, name)
		}
	}
	// Without it the library takes that of the home directory.
	return map[string]string{"XDG_CONFIG_HOME": noHome}, unset
}

// otherVariables are those that name files, besides those that say so in their names.
var otherVariables = []string{"REGISTRY_AUTH_FILE", "REGISTRIES_CONFIG_PATH", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "GNUPGHOME", "XDG_RUNTIME_DIR"}

func isContainers(name string) bool {
	return strings.HasPrefix(strings.TrimPrefix(name, "_"), "CONTAINERS_") || slices.Contains(otherVariables, name)
}
