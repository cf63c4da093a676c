package oci

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.podman.io/image/v5/types"
)

// odd are what may be in place of a file that the library reads, with the error.
var odd = []struct {
	want string
	make func(path string) error
}{
	{"not a regular file", func(path string) error { return syscall.Mkfifo(path, 0o600) }},
	{"trust file size limit: at most 4 MiB", func(path string) error {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		return os.Truncate(path, 1<<40)
	}},
	{"not a regular file", func(path string) error {
		return os.Symlink("/dev/zero", path)
	}},
}

// TestTrustFiles has FIFOs, sparse files of 1 TiB and devices in place of every file
// that the library reads. Each is refused at once, by name, and without memory.
func TestTrustFiles(t *testing.T) {
	r := newRegistry(t)
	ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
	certs := "etc/containers/certs.d/" + r.host()
	for _, tt := range []struct {
		name   string
		policy string
		set    func(opts *Options, path string)
	}{
		{"etc/containers/policy.json", "", nil},
		{"usr/share/containers/policy.json", "", nil},
		{"etc/containers/registries.conf", "", nil},
		{"usr/share/containers/registries.conf", "", nil},
		{"etc/containers/registries.conf.d/x.conf", "", nil},
		{"usr/share/containers/registries.conf.d/x.conf", "", nil},
		{"etc/containers/registries.d/x.yaml", signedBy, nil},
		{certs + "/ca.crt", "", nil},
		{certs + "/client.cert", "", nil},
		{certs + "/client.key", "", nil},
		{"etc/ostree/auth.json", "", nil},
		{"policy", "", func(opts *Options, path string) { opts.PolicyFile = path }},
		{"auth", "", func(opts *Options, path string) { opts.AuthFile = path }},
		{"key", `{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"KEY"}]}`, nil},
		{"key", `{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPaths":["/nonexistent","KEY"]}]}`, nil},
		{"key", `{"default":[{"type":"sigstoreSigned","fulcio":{"caPath":"KEY","oidcIssuer":"x","subjectEmail":"x"},"rekorPublicKeyPath":"/x"}]}`, nil},
	} {
		for _, o := range odd {
			opts := options(t)
			path := filepath.Join(opts.Root, tt.name)
			if tt.policy != "" {
				writeBelow(t, opts.Root, "etc/containers/policy.json", strings.ReplaceAll(tt.policy, "KEY", path))
			}
			if tt.set != nil {
				tt.set(&opts, path)
			}
			writeBelow(t, opts.Root, tt.name, "")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := o.make(path); err != nil {
				t.Fatal(err)
			}
			err := boundedOpen(t, ref, opts)
			if err == nil || !strings.Contains(err.Error(), tt.name+": "+o.want) {
				t.Errorf("%s: error %v; want one with %q", tt.name, err, o.want)
			}
		}
	}
}

// boundedOpen opens an image, and fails if that takes long, or much memory.
func boundedOpen(t *testing.T, ref string, opts Options) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	result := make(chan error, 1)
	go func() {
		_, err := tryOpen(t, ref, opts)
		result <- err
	}()
	select {
	case err := <-result:
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("it allocated %d bytes; want at most 16 MiB", used)
		}
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("still waiting after 10 s")
		return nil
	}
}

// TestTrustFilesUnread: files that the library does not read may be anything.
func TestTrustFilesUnread(t *testing.T) {
	r := newRegistry(t)
	ref := r.push(t, newImage(t, "amd64", archives(t)[1:2], nil), "os", "v1")
	opts := options(t)
	writeBelow(t, opts.Root, "etc/containers/registries.conf.d/x.conf", "")
	writeBelow(t, opts.Root, "etc/containers/registries.conf.d/dir.conf/x", "")
	writeBelow(t, opts.Root, "usr/share/containers/registries.conf.d/x", "")
	at := func(name string) string { return filepath.Join(opts.Root, name) }
	for _, name := range []string{"etc/containers/registries.conf.d/README", "usr/share/containers/registries.conf.d/x.conf"} {
		if err := syscall.Mkfifo(at(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/dev/null", at("etc/containers/registries.conf.d/masked.conf")); err != nil {
		t.Fatal(err)
	}
	if err := boundedOpen(t, ref, opts); err != nil {
		t.Error(err)
	}
}

// TestAuthFiles has an odd file in each place that a user's credentials may be in.
func TestAuthFiles(t *testing.T) {
	variables := []string{"HOME", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"}
	for _, o := range odd {
		for _, tt := range []struct{ variable, name string }{
			{"HOME", ".config/containers/auth.json"},
			{"HOME", ".docker/config.json"},
			{"HOME", ".dockercfg"},
			{"XDG_CONFIG_HOME", "containers/auth.json"},
			{"DOCKER_CONFIG", "config.json"},
			{"XDG_RUNTIME_DIR", "containers/auth.json"},
		} {
			for _, v := range variables {
				t.Setenv(v, "")
			}
			dir := t.TempDir()
			t.Setenv("HOME", t.TempDir())
			t.Setenv(tt.variable, dir)
			path := filepath.Join(dir, tt.name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), o.make(path)); err != nil {
				t.Fatal(err)
			}
			if err := checkAuthFiles(&types.SystemContext{}); err == nil || !strings.Contains(err.Error(), tt.name+": "+o.want) {
				t.Errorf("$%s/%s: error %v; want one with %q", tt.variable, tt.name, err, o.want)
			}
		}
	}
}
