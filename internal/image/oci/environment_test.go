package oci

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSystemEnvironment(t *testing.T) {
	set, unset := SystemEnvironment([]string{
		"PATH=/bin", "HOME=/root", "CONTAINERS_POLICY_JSON=/x", "_CONTAINERS_ROOTLESS_UID=5", "CONTAINERS_REGISTRIES_CONF_OVERRIDE=/x", "https_proxy=http://x",
		"DOCKER_CONFIG=/x", "REGISTRY_AUTH_FILE=", "CONTAINER_HOST=x",
	})
	slices.Sort(unset)
	want := "CONTAINERS_POLICY_JSON CONTAINERS_REGISTRIES_CONF_OVERRIDE DOCKER_CONFIG REGISTRY_AUTH_FILE _CONTAINERS_ROOTLESS_UID"
	if got := strings.Join(unset, " "); got != want || !maps.Equal(set, map[string]string{"XDG_CONFIG_HOME": noHome}) {
		t.Errorf("unset %q, set %q; want %q", got, set, want)
	}
}

// TestSystemOnly opens an image in a process whose environment and home directory
// name a policy that refuses it, and credentials, for each way to name them.
func TestSystemOnly(t *testing.T) {
	if layout := os.Getenv("TEST_SYSTEM_ONLY"); layout != "" {
		openSystemOnly(t, layout)
		return
	}
	home := t.TempDir()
	writeBelow(t, home, "policy.json", rejectAll)
	writeBelow(t, home, "containers/policy.json", rejectAll)
	writeBelow(t, home, ".config/containers/policy.json", rejectAll)
	writeBelow(t, home, "broken.conf", "]")
	writeBelow(t, home, ".config/containers/registries.conf", "]")
	writeBelow(t, home, ".config/containers/auth.json", "]")
	writeBelow(t, home, ".docker/config.json", "]")
	layout := "oci:" + writeLayout(t, newImage(t, "amd64", archives(t)[1:2], nil), "v1") + ":v1"
	for _, variable := range []string{
		"HOME=" + home, "XDG_CONFIG_HOME=" + home, "CONTAINERS_POLICY_JSON=" + home + "/policy.json",
		"CONTAINERS_REGISTRIES_CONF=" + home + "/broken.conf", "CONTAINERS_REGISTRIES_CONF_OVERRIDE=" + home + "/broken.conf",
		"XDG_RUNTIME_DIR=" + home, "DOCKER_CONFIG=" + home,
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSystemOnly$")
		cmd.Env = append(os.Environ(), "TEST_SYSTEM_ONLY="+layout, variable)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", variable, err, out)
		}
	}
}

func openSystemOnly(t *testing.T, layout string) {
	set, unset := SystemEnvironment(os.Environ())
	for _, name := range unset {
		os.Unsetenv(name)
	}
	for name, value := range set {
		os.Setenv(name, value)
	}
	opts := options(t)
	mustOpen(t, layout, opts)
	r := newRegistry(t)
	ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
	if os.Geteuid() == 0 {
		mustOpen(t, ref, opts)
	}
	// What the system says counts.
	writeBelow(t, opts.Root, "etc/containers/policy.json", rejectAll)
	if _, err := tryOpen(t, layout, opts); err == nil {
		t.Errorf("the policy in %s does not count", filepath.Join(opts.Root, "etc/containers/policy.json"))
	}
}
