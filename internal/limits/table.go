package limits

// What comes from a registry, or from an image in a file or directory.
var (
	Manifest = Limit{Name: "manifest size", Value: 4 << 20, Unit: Bytes, Bounds: "a manifest, or a list of manifests"}
	Config   = Limit{Name: "configuration size", Value: 4 << 20, Unit: Bytes, Bounds: "the configuration of an image"}
	Answer   = Limit{Name: "answer size", Value: 8 << 20, Unit: Bytes, Bounds: "any other answer of a registry that is not a layer, such as an error"}
	Token    = Limit{Name: "token size", Value: 1 << 20, Unit: Bytes, Bounds: "the answer of a registry with a token in it"}
	Rate     = Limit{Name: "transfer rate", Value: 4 << 10, Unit: PerSecond, Least: true, Bounds: "how fast a layer comes"}

	RateWindow = Limit{Name: "slow transfer", Value: 60, Unit: Seconds, Bounds: "the time in which less comes, before the registry is asked again or given up"}
)

// What an image may take here.
var (
	Files         = Limit{Name: "file count", Value: 1_000_000, Unit: "files", Bounds: "the files of an image, and the entries of a layer"}
	Reserve       = Limit{Name: "disk reserve", Value: 3, Unit: Percent, Least: true, Bounds: "the bytes and inodes of the root file system that objects leave free"}
	ReserveBytes  = Limit{Name: "disk reserve bytes", Value: 512 << 20, Unit: Bytes, Bounds: "the disk reserve of a large file system"}
	ReserveInodes = Limit{Name: "disk reserve inodes", Value: 10_000, Unit: "inodes", Bounds: "the same of its inodes"}
)

// All returns the limits in the order of the manual page.
func All() []Limit {
	return []Limit{
		Manifest, Config, Answer, Token, Rate, RateWindow,
		Files, Reserve, ReserveBytes, ReserveInodes,
	}
}
