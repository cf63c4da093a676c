package limits

// What comes from a registry, or from an image in a file or directory.
var (
	Manifest = Limit{Name: "manifest size", Value: 4 << 20, Unit: Bytes, Bounds: "a manifest, or a list of manifests"}
	Config   = Limit{Name: "configuration size", Value: 4 << 20, Unit: Bytes, Bounds: "the configuration of an image"}
)

// All returns the limits in the order of the manual page.
func All() []Limit {
	return []Limit{
		Manifest, Config,
	}
}
