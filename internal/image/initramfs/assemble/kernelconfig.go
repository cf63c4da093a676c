package assemble

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bounded"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

// A kernelConfig is how a kernel was built: the values of its options, such as "y". It is
// nil if there is no file to look it up in.
type kernelConfig map[string]string

// required are what a kernel must have, whether or not as a module.
var required = []string{"CONFIG_EROFS_FS", "CONFIG_EROFS_FS_XATTR", "CONFIG_OVERLAY_FS", "CONFIG_FS_VERITY"}

// readKernelConfig reads the configuration that distributions install beside the modules
// or in /boot.
func readKernelConfig(src Source) (kernelConfig, error) {
	data, err := bounded.ReadFile(src.Modules, "config", limits.Text)
	found, err := bounded.Found(err)
	if err == nil && !found {
		data, err = bounded.ReadFile(src.Root, "boot/config-"+src.Version, limits.Text)
		found, err = bounded.Found(err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration of kernel %s: %w", src.Version, err)
	}
	if !found {
		return nil, nil
	}
	return parseKernelConfig(string(data)), nil
}

func parseKernelConfig(text string) kernelConfig {
	config := make(kernelConfig)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && name[:min(1, len(name))] != "#" {
			config[name] = value
		}
	}
	return config
}

// has reports whether an option is set, or may be.
func (c kernelConfig) has(option string) bool {
	return c == nil || c[option] == "y" || c[option] == "m"
}

// missing returns what the kernel lacks.
func (c kernelConfig) missing() []string {
	return slices.DeleteFunc(slices.Clone(required), c.has)
}

// Missing returns the options that every kernel of an image needs and a configuration of
// one does not have.
func Missing(config string) []string { return parseKernelConfig(config).missing() }

// check returns an error if the kernel lacks a feature.
func (c kernelConfig) check(version string) error {
	if missing := c.missing(); len(missing) > 0 {
		return fmt.Errorf("kernel %s was built without %s", version, missing[0])
	}
	return nil
}

// compression returns the best that the kernel can read: zstd, which all distributions'
// kernels can, unless its configuration tells otherwise.
func (c kernelConfig) compression() Compression {
	switch {
	case c.has("CONFIG_RD_ZSTD"):
		return Zstd
	case c.has("CONFIG_RD_GZIP"):
		return Gzip
	}
	return Plain
}
