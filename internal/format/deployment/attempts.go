package deployment

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Sizes of an Attempts record, in bytes. The initramfs overwrites its first sector in place,
// which needs no room on the disk, and no other byte.
const (
	AttemptsSize   = 8 * attemptsSector
	attemptsSector = 512
)

// MaxFailures is after how many failures in the initramfs a blessed deployment gives way to
// its fallback.
const MaxFailures = 3

// AttemptsFile returns where the Attempts of the deployment are kept. Each deployment has its
// own record: arming one changes nothing for the others, and it goes with the deployment.
func (id ID) AttemptsFile() string { return id.Dir() + "/boot-attempts" }

// Attempts says how often the initramfs still boots a deployment before it boots the fallback
// in its place. It does so whether or not the boot loader counts too.
type Attempts struct {
	AttemptsCount
	ID       ID
	Counted  bool   // its boot entry was published with tries: without them it was blessed since
	Kernel   string // release of its kernel, "" if it is not known
	Fallback ID     // the good deployment that takes its place, "" if there is none

	FallbackEntry   string // its boot entry, by bootentry.Name.ID
	FallbackKernel  string // release of its kernel, "" if it is not known
	FallbackOptions string // kernel command line of its entry, "" if the kernel has its own
}

// AttemptsCount is the part of Attempts that a boot changes: the first sector.
type AttemptsCount struct {
	Trial      bool // it is on trial, and its boots are counted; else it was blessed
	Left, Done uint // tries, of a deployment on trial
	Failures   uint // in the initramfs, since the last good boot
	// InPlace counts the boots of the fallback in place of a spent deployment on trial, with
	// what that one has on its kernel command line.
	InPlace uint
	// Redirects counts the boots that were sent to the fallback by another kernel. The
	// machine goes on without, if that leads back here.
	Redirects uint
	Reason    string // of the last failure in the initramfs, one line
	// The kernel's ids of the boots that were last counted and last failed: neither is
	// counted twice, however often somebody starts prepare-root again.
	Boot, FailedBoot string
}

// Spent reports whether the deployment is not to be booted any more.
func (a AttemptsCount) Spent() bool {
	return a.Trial && a.Left == 0 || !a.Trial && a.Failures >= MaxFailures
}

// Settled returns the count once the fallback has come up: another boot of the spent deployment
// may end there again.
func (a AttemptsCount) Settled() AttemptsCount {
	a.InPlace, a.Redirects, a.Failures = 0, 0, min(a.Failures, MaxFailures)
	return a
}

// Why tells in half a sentence why a spent deployment has failed, as far as its record knows.
func (a AttemptsCount) Why() string {
	switch {
	case a.Reason != "":
		return "it failed in the initramfs: " + a.Reason
	case a.Failures > 0:
		return "it failed in the initramfs"
	}
	return "it left the initramfs, but did not get as far as to record why it failed"
}

// attemptsMagic is the first line of each part.
const attemptsMagic = "sysupdate-image boot attempts\n"

const reasonKey = "reason"

// field is a line of a record.
type field struct {
	key   string
	value any // *string, *ID, *uint or *bool
}

func (a *AttemptsCount) fields() []field {
	return []field{
		{"trial", &a.Trial}, {"left", &a.Left}, {"done", &a.Done}, {"failures", &a.Failures},
		{"in-place", &a.InPlace}, {"redirects", &a.Redirects}, {"boot", &a.Boot}, {"failed-boot", &a.FailedBoot}, {reasonKey, &a.Reason},
	}
}

func (a *Attempts) fields() []field {
	return []field{
		{"id", &a.ID}, {"counted", &a.Counted}, {"kernel", &a.Kernel},
		{"fallback", &a.Fallback}, {"fallback-entry", &a.FallbackEntry}, {"fallback-kernel", &a.FallbackKernel},
		{"fallback-options", &a.FallbackOptions},
	}
}

// Encode returns the record, AttemptsSize bytes of text. A value that has no room is left out,
// the reason cut off.
func (a Attempts) Encode() []byte {
	return append(a.EncodeSector(), encodePart(a.fields(), AttemptsSize-attemptsSector)...)
}

// EncodeSector returns the first sector of the record, all that a boot overwrites.
func (a AttemptsCount) EncodeSector() []byte {
	return encodePart(a.fields(), attemptsSector)
}

// encodePart returns the fields as lines, filled up with empty ones, and a checksum as the
// last line. A field without a value is left out, and so is what has no room.
func encodePart(fields []field, size int) []byte {
	var b strings.Builder
	b.WriteString(attemptsMagic)
	size -= sumSize
	for _, f := range fields {
		value := f.text()
		room := size - b.Len() - len(f.key) - len("=\n")
		if f.key != reasonKey && len(value) > room || room <= 0 || value == "" {
			continue
		}
		b.WriteString(f.key + "=" + value[:min(len(value), room)] + "\n")
	}
	b.WriteString(strings.Repeat("\n", size-b.Len()))
	return append([]byte(b.String()), sumOf(b.String())...)
}

// text returns the value on one line, "" for the zero value.
func (f field) text() string {
	switch v := f.value.(type) {
	case *string:
		return strings.Join(strings.Fields(strings.ToValidUTF8(*v, "")), " ")
	case *ID:
		return string(*v)
	case *uint:
		if *v > 0 {
			return strconv.FormatUint(uint64(*v), 10)
		}
	case *bool:
		if *v {
			return "yes"
		}
	}
	return ""
}

// sumSize is the length of the line with the checksum.
const sumSize = len("sum=0123456789abcdef\n")

// sumOf returns the last line of a part. It tells a part that a power cut has torn from a
// whole one; it protects from nobody.
func sumOf(part string) string {
	h := fnv.New64a()
	h.Write([]byte(part))
	return fmt.Sprintf("sum=%016x\n", h.Sum64())
}

// errAttempts says that a record is not whole.
var errAttempts = errors.New("not a whole record of boot attempts")

// ParseAttempts reads an AttemptsFile. Unknown fields are skipped. One that is not whole is
// an error, and then nothing counts: the deployment is booted as if it had no record.
func ParseAttempts(data []byte) (Attempts, error) {
	var a Attempts
	if len(data) != AttemptsSize {
		return Attempts{}, fmt.Errorf("%w: it has %d bytes", errAttempts, len(data))
	}
	err := parsePart(string(data[:attemptsSector]), a.AttemptsCount.fields())
	if err == nil {
		err = parsePart(string(data[attemptsSector:]), a.fields())
	}
	if err != nil {
		return Attempts{}, err
	}
	if _, err := ParseID(string(a.ID)); err != nil {
		return Attempts{}, err
	}
	if _, err := ParseID(string(a.Fallback)); a.Fallback != "" && err != nil {
		return Attempts{}, err
	}
	return a, nil
}

func parsePart(part string, fields []field) error {
	text, sum := part[:len(part)-sumSize], part[len(part)-sumSize:]
	rest, ok := strings.CutPrefix(text, attemptsMagic)
	if !ok || sum != sumOf(text) {
		return fmt.Errorf("%w: wrong checksum", errAttempts)
	}
	for line := range strings.Lines(rest) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		for _, f := range fields {
			if f.key != key {
				continue
			}
			if err := f.set(value); err != nil {
				return fmt.Errorf("%w: %s=%s", errAttempts, key, value)
			}
		}
	}
	return nil
}

func (f field) set(value string) error {
	switch v := f.value.(type) {
	case *string:
		*v = value
	case *ID:
		*v = ID(value)
	case *bool:
		*v = value == "yes"
	case *uint:
		n, err := strconv.ParseUint(value, 10, 31)
		*v = uint(n)
		return err
	}
	return nil
}
