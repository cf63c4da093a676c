package layout

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
)

func options() Options {
	seed, _ := ParseSeed("01234567-89ab-cdef-0123-456789abcdef")
	return Options{Size: 2 << 30, Sector: 512, Arch: "amd64", FileSystem: "ext4", Need: 100 << 20, Seed: seed}
}

func TestNew(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Options)
		want   string // sizes in MiB, or a part of the error
	}{
		"default":      {func(*Options) {}, "esp 1+300 root 301+1746"},
		"large disk":   {func(o *Options) { o.Size = 100 << 30 }, "esp 1+1024 root 1025+101374"},
		"all sizes":    {func(o *Options) { o.ESP, o.Boot, o.Root = 400<<20, 500<<20, 600<<20 }, "esp 1+400 xbootldr 401+500 root 901+600"},
		"odd size":     {func(o *Options) { o.Size += 12345 }, "esp 1+300 root 301+1746"},
		"4096":         {func(o *Options) { o.Sector = 4096 }, "esp 1+300 root 301+1746"},
		"too small":    {func(o *Options) { o.Size = 500 << 20 }, "too small: 500 MiB, but at least 543 MiB are needed"},
		"nothing":      {func(o *Options) { o.Size = 0 }, "too small: 0 MiB"},
		"root too big": {func(o *Options) { o.Root = 2 << 30 }, "too small: 2048 MiB, but at least 2350 MiB are needed"},
		"root small":   {func(o *Options) { o.Root = 1 << 20 }, "the root needs at least 241 MiB, more than the 1 MiB that were asked for"},
		"ESP small":    {func(o *Options) { o.ESP = 1 << 20 }, "at least 300 MiB"},
		"large kernel": {func(o *Options) { o.Kernel = 200 << 20 }, "esp 1+416 root 417+1630"},
		"ESP too full": {func(o *Options) { o.ESP, o.Kernel = 400<<20, 200<<20 }, "the boot partition needs at least 416 MiB, for two kernels of 200 MiB each"},
		"on XBOOTLDR":  {func(o *Options) { o.ESP, o.Boot, o.Kernel = 300<<20, 500<<20, 200<<20 }, "esp 1+300 xbootldr 301+500 root 801+1246"},
		"/var":         {func(o *Options) { o.Var = 500 << 20 }, "esp 1+300 var 301+500 root 801+1246"},
		"/var small":   {func(o *Options) { o.Var = 100 << 20 }, "a partition for /var needs at least 256 MiB"},
		"/var on XFS":  {func(o *Options) { o.Var, o.FileSystem = 256<<20, "xfs" }, "a partition for /var needs at least 300 MiB"},
		"/var too big": {func(o *Options) { o.Var = 1700 << 20 }, "too small: 2048 MiB, but at least 2243 MiB are needed"},
		"encrypted":    {func(o *Options) { o.Root, o.Encrypt = 600<<20, true }, "esp 1+300 root 301+600"},
		"LUKS small":   {func(o *Options) { o.Root, o.Encrypt = 241<<20, true }, "the root needs at least 257 MiB, more than the 241 MiB that were asked for"},
		"architecture": {func(o *Options) { o.Arch = "vax" }, "there is no partition type for a root on vax"},
		"file system":  {func(o *Options) { o.FileSystem = "vfat" }, `no file system for a root: "vfat"`},
		"sectors":      {func(o *Options) { o.Sector = 520 }, "sectors of 520 bytes"},
	} {
		o := options()
		tt.change(&o)
		p, err := New(o)
		got := sizes(p)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want && (err == nil || !strings.Contains(got, tt.want)) {
			t.Errorf("%s: %s; want %s", name, got, tt.want)
		}
		if small := (*TooSmallError)(nil); errors.As(err, &small) {
			if o.Size = small.Need; o.Size > 0 {
				if _, err := New(o); err != nil {
					t.Errorf("%s: with the size that the error asks for: %v", name, err)
				}
			}
		}
	}
}

func sizes(p Plan) string {
	var words []string
	for _, part := range p.Partitions {
		words = append(words, string(part.Role), number(part.Start)+"+"+number(part.Size))
	}
	return strings.Join(words, " ")
}

func number(bytes int64) string {
	if bytes%mebibyte != 0 {
		return "?"
	}
	digits := ""
	for n := bytes / mebibyte; n > 0 || digits == ""; n /= 10 {
		digits = string(rune('0'+n%10)) + digits
	}
	return digits
}

// Both programs make what is planned.
func TestPrograms(t *testing.T) {
	o := options()
	o.Boot, o.Root = 300<<20, 1<<30
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range p.Repart() {
		if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(f.Text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{
		{"sfdisk", "--quiet"},
		{"systemd-repart", "--empty=force", "--dry-run=no", "--pretty=no", "--discard=no", "--definitions=" + dir, "--seed=" + o.Seed.String()},
	} {
		t.Run(command[0], func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skipf("there is no %s", command[0])
			}
			disk := filepath.Join(t.TempDir(), "disk")
			if err := errors.Join(os.WriteFile(disk, nil, 0o600), os.Truncate(disk, o.Size)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(command[0], append(command[1:], disk)...)
			cmd.Stdin = strings.NewReader(p.Sfdisk())
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			f, err := os.OpenFile(disk, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			before, err := partition.Read(f, o.Sector, o.Size)
			if root, _ := before.Partition(3); err != nil || root.Label != Unfinished {
				t.Errorf("root is %+v, %v; want one that is not finished", root, err)
			}
			if err := partition.Amend(f, o.Sector, o.Size, p.Complete()); err != nil {
				t.Fatal(err)
			}
			table, err := partition.Read(f, o.Sector, o.Size)
			if err != nil || len(table.Numbers()) != len(p.Partitions) {
				t.Fatalf("partitions %v, %v; want %d", table.Numbers(), err, len(p.Partitions))
			}
			for i, want := range p.Partitions {
				got, _ := table.Partition(i + 1)
				planned := partition.Partition{Type: want.Type, UUID: want.UUID, Label: want.Label, Attributes: want.Attributes, Start: want.Start, Size: want.Size}
				if got != planned {
					t.Errorf("partition %d is %+v; want %+v", i+1, got, planned)
				}
			}
		})
	}
}

func TestSeed(t *testing.T) {
	a, errA := NewSeed()
	b, errB := NewSeed()
	again, err := ParseSeed(a.String())
	if err := errors.Join(errA, errB, err); err != nil || a == b || again != a {
		t.Errorf("seeds %s, %s, %s, %v", a, b, again, err)
	}
	if a.uuid("x") == a.uuid("y") || a.uuid("x") == b.uuid("x") || a.uuid("x")[14] != '4' {
		t.Errorf("UUIDs %s, %s, %s", a.uuid("x"), a.uuid("y"), b.uuid("x"))
	}
	for _, text := range []string{"", "x", a.String() + "00"} {
		if _, err := ParseSeed(text); err == nil {
			t.Errorf("ParseSeed(%q) = nil; want an error", text)
		}
	}
}

// The UUID of an encryption is none of those of the file system and the partition.
func TestEncrypt(t *testing.T) {
	o := options()
	o.Encrypt = true
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, part := range p.Partitions {
		for _, uuid := range []string{part.UUID, part.FSUUID, part.LUKS} {
			if seen[uuid] {
				t.Errorf("UUID %s is there twice", uuid)
			}
			seen[uuid] = uuid != ""
		}
		if (part.LUKS != "") != (part.Role == Root) {
			t.Errorf("%s has encryption %q", part.Role, part.LUKS)
		}
	}
}
