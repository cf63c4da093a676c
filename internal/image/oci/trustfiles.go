package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// checkTrustFile returns an error if the library cannot safely read a file: it reads
// whole files without a limit, and blocks on a FIFO. A file that cannot be looked at,
// or does not exist, is left to the library to report. /dev/null is fine: links to it
// mask a file.
func checkTrustFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	if null, err := os.Stat(os.DevNull); err == nil && os.SameFile(info, null) {
		return nil
	}
	return bounded.CheckPath(path, limits.Trust)
}

// checkConfig checks those files of a configuration that the library would read: the
// first main file that exists, the drop-ins, and the file of an override variable. Of
// drop-ins with the same name, only the one in the first directory is read.
func checkConfig(paths configfile.SearchPaths, extension string) error {
	var names []string
	for _, name := range paths.MainFiles {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			names = append(names, name)
			break
		}
	}
	seen := make(map[string]bool)
	for _, dir := range paths.DropInDirectories {
		for _, name := range filesWith(dir, extension) {
			if !seen[name] {
				seen[name] = true
				names = append(names, filepath.Join(dir, name))
			}
		}
	}
	return checkTrustFiles(append(names, paths.ExtraOverrideFile)...)
}

func checkTrustFiles(names ...string) error {
	for _, name := range names {
		if err := checkTrustFile(name); err != nil {
			return err
		}
	}
	return nil
}

// filesWith returns the names in dir that have one of the extensions. Like the library,
// it skips directories; a dir that cannot be read is left to the library to report.
func filesWith(dir string, extensions ...string) (names []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if !e.IsDir() && slices.ContainsFunc(extensions, func(x string) bool { return strings.HasSuffix(e.Name(), x) }) {
			names = append(names, e.Name())
		}
	}
	return names
}

// checkRegistriesD checks the files of containers-registries.d(5).
func checkRegistriesD(root string) error {
	paths, err := configfile.GetSearchPaths(&configfile.File{
		Name: "registries", Extension: "yaml", DoNotLoadMainFiles: true, DoNotUseExtensionForConfigName: true,
		UserId: os.Geteuid(), RootForImplicitAbsolutePaths: root,
	})
	if err != nil {
		return err
	}
	return checkConfig(paths, ".yaml")
}

// checkCertificates checks the files in a directory of containers-certs.d(5).
func checkCertificates(dir string) error {
	for _, name := range filesWith(dir, ".crt", ".cert", ".key") {
		if err := checkTrustFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// checkAuthFiles checks the files that credentials come from: the one that sys names,
// or else the defaults of containers-auth.json(5), which only users other than root have.
func checkAuthFiles(sys *types.SystemContext) error {
	if sys.AuthFilePath != "" {
		return checkTrustFile(sys.AuthFilePath)
	}
	home := os.Getenv("HOME")
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(home, ".config")
	}
	docker := os.Getenv("DOCKER_CONFIG")
	if docker == "" {
		docker = filepath.Join(home, ".docker")
	}
	names := []string{
		filepath.Join("/", sys.RootForImplicitAbsolutePaths, fmt.Sprintf("run/containers/%d/auth.json", os.Getuid())),
		filepath.Join(config, "containers/auth.json"), filepath.Join(docker, "config.json"), filepath.Join(home, ".dockercfg"),
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && sys.RootForImplicitAbsolutePaths == "" {
		names[0] = filepath.Join(dir, "containers/auth.json")
	}
	return checkTrustFiles(names...)
}

// checkKeys checks the files with keys and certificates that requirements name.
func checkKeys(requirements signature.PolicyRequirements) error {
	text, err := json.Marshal(requirements)
	if err != nil {
		return err
	}
	var all []map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for _, r := range all {
		if err := checkTrustFiles(pathsIn(r)...); err != nil {
			return err
		}
	}
	return nil
}

// pathsIn returns the values of "keyPath", "rekorPublicKeyPaths", "caPath" and the
// like in a requirement of a policy, whose Go types the library does not export.
func pathsIn(requirement map[string]any) (paths []string) {
	for key, value := range requirement {
		switch value := value.(type) {
		case string:
			if strings.HasSuffix(key, "Path") {
				paths = append(paths, value)
			}
		case []any:
			for _, path := range value {
				if path, ok := path.(string); ok && strings.HasSuffix(key, "Paths") {
					paths = append(paths, path)
				}
			}
		case map[string]any:
			paths = append(paths, pathsIn(value)...)
		}
	}
	return paths
}
