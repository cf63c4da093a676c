package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.podman.io/image/v5/types"

	"github.com/sysupdate-image/sysupdate-image/internal/format/version"
)

// Options say how to read an image. The zero value is right for an
// administrator's command on the machine it runs on.
type Options struct {
	// Architecture is that of the machine the image is for, as Go spells it:
	// "amd64", "arm64". Empty means the running machine's.
	Architecture string

	// Variant is that of an Architecture that has some, "v7" of "arm". Empty
	// means any, or without an Architecture what the running machine is.
	Variant string

	// InsecureTLS allows plain HTTP and unverified certificates. Registries that
	// registries.conf(5) calls insecure are read so without it, and no others: the
	// loopback interface is not special, any user can listen there.
	InsecureTLS bool

	// AuthFile holds the credentials, see containers-auth.json(5). Empty means
	// the first there is of ostree/auth.json in /run, /etc and /usr/lib (where
	// bootc looks), else what podman-login(1) leaves: for root the file in /run alone,
	// for others the default of containers-auth.json(5).
	AuthFile string

	// PolicyFile says which signatures are wanted, see
	// containers-policy.json(5). Empty means the default of that page; if there
	// is no such file at all, all images are accepted.
	PolicyFile string

	// TempDir is where archives are unpacked. Empty means /var/tmp.
	TempDir string

	// Gzip is the decoder for layers in that format, see Image.UseGzip.
	Gzip Gzip

	// Root is put before the default paths of all configuration files. Empty
	// means /.
	Root string
}

// authFiles are where bootc looks for credentials, best first.
var authFiles = []string{"run/ostree/auth.json", "etc/ostree/auth.json", "usr/lib/ostree/auth.json"}

// rootAuthFile is where podman-login(1) leaves the credentials of root. It need not
// exist.
const rootAuthFile = "run/containers/0/auth.json"

// systemContext returns opts in the library's terms.
func (opts Options) systemContext(tempDir string) (*types.SystemContext, error) {
	auth, err := opts.authFile()
	if err != nil {
		return nil, err
	}
	sys := &types.SystemContext{
		RootForImplicitAbsolutePaths: opts.Root,
		SignaturePolicyPath:          opts.PolicyFile,
		AuthFilePath:                 auth,
		ArchitectureChoice:           opts.Architecture,
		VariantChoice:                opts.Variant,
		OSChoice:                     "linux",
		BigFilesTemporaryDir:         tempDir,
		DockerRegistryUserAgent:      "sysupdate-image/" + version.Version,
	}
	if opts.InsecureTLS {
		sys.DockerInsecureSkipTLSVerify = types.OptionalBoolTrue
	}
	return sys, nil
}

func (opts Options) authFile() (string, error) {
	if opts.AuthFile != "" {
		if _, err := os.Stat(opts.AuthFile); err != nil {
			return "", fmt.Errorf("cannot read credentials: %w", err)
		}
		return opts.AuthFile, nil
	}
	for _, name := range authFiles {
		path := filepath.Join("/", opts.Root, name)
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("cannot read credentials: %w", err)
		}
	}
	if os.Geteuid() == 0 {
		// That this is set keeps the library from looking into home directories.
		return filepath.Join("/", opts.Root, rootAuthFile), nil
	}
	return "", nil
}
