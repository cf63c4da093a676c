package limits

// What comes from a registry, or from an image in a file or directory.
var (
	Manifest  = Limit{Name: "manifest size", Value: 4 << 20, Unit: Bytes, Bounds: "a manifest, or a list of manifests"}
	Config    = Limit{Name: "configuration size", Value: 4 << 20, Unit: Bytes, Bounds: "the configuration of an image"}
	Answer    = Limit{Name: "answer size", Value: 8 << 20, Unit: Bytes, Bounds: "any other answer of a registry that is not a layer, such as an error"}
	Signature = Limit{Name: "signature size", Value: 4 << 20, Unit: Bytes, Bounds: "a signature of an image"}
	SBOM      = Limit{Name: "SBOM size", Value: 32 << 20, Unit: Bytes, Bounds: "a software bill of materials that a registry has for an image"}
	Token     = Limit{Name: "token size", Value: 1 << 20, Unit: Bytes, Bounds: "the answer of a registry with a token in it"}
	Rate      = Limit{Name: "transfer rate", Value: 4 << 10, Unit: PerSecond, Least: true, Bounds: "how fast a layer comes"}

	RateWindow = Limit{Name: "slow transfer", Value: 60, Unit: Seconds, Bounds: "the time in which less comes, before the registry is asked again or given up"}
)

// What an image may take here.
var (
	Files         = Limit{Name: "file count", Value: 1_000_000, Unit: "files", Bounds: "the files of an image, and the entries of a layer"}
	Sparse        = Limit{Name: "sparse file size", Value: 16 << 30, Unit: Bytes, Bounds: "the sparse files of an image, with their holes"}
	Holes         = Limit{Name: "sparse file holes", Value: 200, Unit: "times the data", Bounds: "what the holes in sparse files of an image have beyond the first GiB, compared with what the layers have of these files"}
	Segments      = Limit{Name: "sparse segment count", Value: 100_000, Unit: "segments", Bounds: "the parts of a sparse file that are not holes"}
	Names         = Limit{Name: "name size", Value: 64 << 20, Unit: Bytes, Bounds: "the names of the files of an image, with what symbolic links lead to"}
	Ratio         = Limit{Name: "inflated size", Value: 200, Unit: "times the compressed size", Bounds: "what a layer has beyond the first GiB when it is inflated"}
	Reserve       = Limit{Name: "disk reserve", Value: 3, Unit: Percent, Least: true, Bounds: "the bytes and inodes of the root file system that objects leave free"}
	ReserveBytes  = Limit{Name: "disk reserve bytes", Value: 512 << 20, Unit: Bytes, Bounds: "the disk reserve of a large file system"}
	ReserveInodes = Limit{Name: "disk reserve inodes", Value: 10_000, Unit: "inodes", Bounds: "the inodes kept free on a large file system"}
)

// What is read from a disk, or from the files of an image.
var (
	Record     = Limit{Name: "record size", Value: 1 << 20, Unit: Bytes, Bounds: "a record of state: what is staged or overdue, an origin, a pin, a failed boot, meta.json, a lock"}
	Report     = Limit{Name: "report size", Value: 64 << 20, Unit: Bytes, Bounds: "the report of a merge of /etc"}
	Text       = Limit{Name: "configuration file size", Value: 1 << 20, Unit: Bytes, Bounds: "update.toml, prepare-root.toml, setup-root-conf.toml, a file of kargs.d, loader.conf, os-release, fstab"}
	TOML       = Limit{Name: "TOML size", Value: 64 << 10, Unit: Bytes, Bounds: "those of these files that are TOML, and all of kargs.d together"}
	TOMLLevels = Limit{Name: "TOML depth", Value: 200, Unit: "levels", Bounds: "the inline tables in one, and the dots in a line"}
	Trust      = Limit{Name: "trust file size", Value: 4 << 20, Unit: Bytes, Bounds: "policy.json and a key it names, registries.conf, a file of registries.d or certs.d, auth.json"}
	Kernel     = Limit{Name: "kernel file size", Value: 64 << 20, Unit: Bytes, Bounds: "a file in /proc, /sys or /run/udev, such as the mount table"}
	BootEntry  = Limit{Name: "boot entry size", Value: 64 << 10, Unit: Bytes, Bounds: "a boot entry"}
	Loader     = Limit{Name: "boot loader size", Value: 32 << 20, Unit: Bytes, Bounds: "a file of the boot loader, where it is installed, replaced or looked at"}
	Section    = Limit{Name: "section size", Value: 64 << 10, Unit: Bytes, Bounds: "a section with text in a unified kernel image"}
	Contexts   = Limit{Name: "file contexts size", Value: 16 << 20, Unit: Bytes, Bounds: "a file of an SELinux policy with the labels of files"}
	Packages   = Limit{Name: "package database size", Value: 256 << 20, Unit: Bytes, Bounds: "the database of rpm or dpkg"}
	Accounts   = Limit{Name: "account file size", Value: 16 << 20, Unit: Bytes, Bounds: "passwd, group and the like, where they are merged record by record"}
	DiffText   = Limit{Name: "diff size", Value: 1 << 20, Unit: Bytes, Bounds: "a file that etc diff compares line by line; a larger one just differs"}
	Named      = Limit{Name: "reference list size", Value: 16 << 20, Unit: Bytes, Bounds: "the named references of a stream in the repository"}
	Streamed   = Limit{Name: "digest list size", Value: 256 << 20, Unit: Bytes, Bounds: "the digests in a stream of the repository"}

	EtcFile     = Limit{Name: "local file size", Value: 64 << 20, Unit: Bytes, Bounds: "a local file in /etc whose content is compared and copied; a larger one is kept as it is"}
	EtcContents = Limit{Name: "local files size", Value: 1 << 30, Unit: Bytes, Bounds: "all of these together"}
	EtcFiles    = Limit{Name: "local file count", Value: 50_000, Unit: "files", Bounds: "files of one user but root in that user's directories in /etc; a directory with more is not carried over"}
	EtcDepth    = Limit{Name: "local directory depth", Value: 1000, Unit: "directories", Bounds: "how deep directories in /etc are merged; what is further down is not carried over"}
	EtcPath     = Limit{Name: "local path length", Value: 3500, Unit: Bytes, Bounds: "how long paths in /etc may be; longer ones are not carried over"}

	ContextLine  = Limit{Name: "file context length", Value: 4096, Unit: Bytes, Bounds: "a line of an SELinux policy's file_contexts"}
	ContextLines = Limit{Name: "file context count", Value: 100_000, Unit: "lines", Bounds: "the lines of file_contexts"}
	ContextSize  = Limit{Name: "file context complexity", Value: 10_000, Unit: "instructions", Bounds: "the regular expression in a line of file_contexts"}
	ContextsSize = Limit{Name: "file contexts complexity", Value: 2_000_000, Unit: "instructions", Bounds: "all regular expressions of file_contexts"}
	Labelling    = Limit{Name: "labelling time", Value: 60, Unit: Seconds, Bounds: "how long it may take to find the SELinux labels of an image's files"}

	ModuleIndex = Limit{Name: "module index size", Value: 16 << 20, Unit: Bytes, Bounds: "a file of the index of kernel modules, such as modules.alias"}
	Module      = Limit{Name: "kernel module size", Value: 64 << 20, Unit: Bytes, Bounds: "a kernel module, compressed or not"}
	Program     = Limit{Name: "program size", Value: 64 << 20, Unit: Bytes, Bounds: "the program of a standalone initramfs"}

	InitramfsSize     = Limit{Name: "initramfs size", Value: 2 << 30, Unit: Bytes, Bounds: "what is read of an initramfs: its bytes, plus those that come out of compressed archives"}
	InitramfsArchives = Limit{Name: "initramfs archive count", Value: 100, Unit: "archives", Bounds: "the archives in an initramfs, one after the other"}
)

// All returns the limits in the order of the manual page.
func All() []Limit {
	return []Limit{
		Manifest, Config, Signature, SBOM, Answer, Token, Rate, RateWindow,
		Files, Names, Ratio, Sparse, Holes, Segments, Reserve, ReserveBytes, ReserveInodes,
		Record, Report, Text, TOML, TOMLLevels, Trust, Kernel, BootEntry, Loader, Section, Contexts, Packages, Accounts, DiffText, Named, Streamed,
		EtcFile, EtcContents, EtcFiles, EtcDepth, EtcPath,
		ContextLine, ContextLines, ContextSize, ContextsSize, Labelling,
		ModuleIndex, Module, Program, InitramfsSize, InitramfsArchives,
	}
}
