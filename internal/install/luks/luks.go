// Package luks encrypts a partition with LUKS2, so that the TPM of this machine opens it, and a
// recovery key if the TPM does not. It hides the key with which it begins, which is nowhere but
// in memory and is void in the end, and that a volume is closed even if this program is killed.
package luks

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/install/tools"
	"github.com/sysupdate-image/sysupdate-image/internal/linux/sys"
)

const (
	cryptsetup  = "cryptsetup"
	cryptenroll = "systemd-cryptenroll"
)

// Programs are those that encrypting needs.
func Programs() []string { return []string{cryptsetup, cryptenroll} }

// HeaderSize is what LUKS2 takes of a partition, in bytes.
const HeaderSize = 16 << 20

// DefaultPCRs are the registers whose values the TPM wants to see again: that of Secure Boot.
const DefaultPCRs = "7"

// lastPCR is the number of the last register.
const lastPCR = 23

// CheckPCRs refuses what is no list of registers: numbers with + between them, or none.
func CheckPCRs(list string) error {
	if list == "" {
		return nil
	}
	for text := range strings.SplitSeq(list, "+") {
		if n, err := strconv.ParseUint(text, 10, 8); err != nil || n > lastPCR {
			return fmt.Errorf("invalid PCR %q: want numbers from 0 to %d with + between them", text, lastPCR)
		}
	}
	return nil
}

// ErrNoTPM says that nothing on this machine could open a volume.
var ErrNoTPM = errors.New("this machine has no TPM 2.0 that the kernel shows")

// ErrNoMapper says that the kernel cannot open volumes.
var ErrNoMapper = errors.New("there is no /dev/mapper/control here: the kernel has no device mapper, or a container does not show it")

// Check reports why nothing can be encrypted here. Host is the root directory of the running
// system.
func Check(ctx context.Context, host *os.Root) error {
	if _, err := host.Stat("dev/mapper/control"); err != nil {
		return ErrNoMapper
	}
	list, err := tools.Command{Name: cryptenroll, Args: []string{"--tpm2-device=list"}}.Output(ctx)
	if err != nil {
		return fmt.Errorf("cannot use a TPM: %w", err)
	}
	if !strings.Contains(list, "/dev/tpm") {
		return ErrNoTPM
	}
	return nil
}

// A Volume is a partition that is to be encrypted.
type Volume struct {
	Device string
	Keep   []*os.File // which keep the device that of the partition
	UUID   string
	PCRs   string // of the TPM, as CheckPCRs wants them
}

// An Open volume is encrypted, and open until it is closed.
type Open struct {
	Path        string // of the block device with the content
	RecoveryKey string
	file        *os.File
	sysfs       string // the device's directory
}

// Make encrypts the partition, and opens it. The TPM and the recovery key are the only ones that
// open it again.
func (v Volume) Make(ctx context.Context) (*Open, error) {
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, err
	}
	key := hex.EncodeToString(secret[:])
	commands := v.commands()
	if err := v.run(ctx, commands.format, key); err != nil {
		return nil, err
	}
	opened, err := v.open(ctx, key)
	if err != nil {
		return nil, err
	}
	recovery, err := v.output(ctx, commands.recovery, key)
	if err == nil {
		opened.RecoveryKey = strings.TrimSpace(recovery)
		err = v.run(ctx, commands.tpm, key)
	}
	if err == nil && opened.RecoveryKey == "" {
		err = errors.New(cryptenroll + " printed no recovery key")
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

// Commands returns what Make runs.
func (v Volume) Commands() []tools.Command {
	c := v.commands()
	return []tools.Command{c.format, c.open, c.release, c.recovery, c.tpm}
}

type commands struct{ format, open, release, recovery, tpm tools.Command }

// commands returns the commands that Make runs. All but release read the first key from standard
// input. It has 256 random bits, so that it needs no function that is slow to compute.
func (v Volume) commands() commands {
	return commands{
		format: tools.Command{Name: cryptsetup, Args: []string{
			"luksFormat", "--batch-mode", "--type=luks2", "--uuid=" + v.UUID, "--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000", "--key-file=-", v.Device,
		}},
		open:     tools.Command{Name: cryptsetup, Args: []string{"open", "--type=luks2", "--key-file=-", v.Device, v.name()}},
		release:  tools.Command{Name: cryptsetup, Args: []string{"close", "--deferred", v.name()}},
		recovery: tools.Command{Name: cryptenroll, Args: []string{"--unlock-key-file=/dev/stdin", "--recovery-key", v.Device}},
		tpm: tools.Command{Name: cryptenroll, Args: []string{
			"--unlock-key-file=/dev/stdin", "--tpm2-device=auto", "--tpm2-pcrs=" + v.PCRs, "--wipe-slot=password", v.Device,
		}},
	}
}

// name returns what the open volume is called.
func (v Volume) name() string { return "sysupdate-image-install-" + v.UUID[:8] }

// Node returns the path of the open volume.
func (v Volume) Node() string { return "/dev/mapper/" + v.name() }

func (v Volume) run(ctx context.Context, c tools.Command, key string) error {
	_, err := v.output(ctx, c, key)
	return err
}

func (v Volume) output(ctx context.Context, c tools.Command, key string) (string, error) {
	c.Input, c.Keep = key, v.Keep
	return c.Output(ctx)
}

// open opens the volume. From then on the kernel closes it once nothing has it open.
func (v Volume) open(ctx context.Context, key string) (*Open, error) {
	c := v.commands()
	if err := v.run(ctx, c.open, key); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(v.Node(), os.O_RDWR, 0)
	// The volume is to be closed even if the command has been interrupted meanwhile.
	err = errors.Join(err, v.run(context.WithoutCancel(ctx), c.release, ""))
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	opened := &Open{file: f}
	if opened.sysfs, opened.Path, err = node(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return opened, nil
}

// node returns the directory in sysfs and the path of an open block device: that in /dev/mapper
// may be gone already.
func node(f *os.File) (dir, name string, err error) {
	major, minor, err := sys.BlockDevice(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return "", "", err
	}
	dir, err = filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", major, minor))
	return dir, "/dev/" + path.Base(dir), err
}

// closeTime is how long the kernel, and what udev has started, may take to let go of a volume.
const closeTime = 10 * time.Second

// Close closes the volume, and waits until the kernel has.
func (o *Open) Close() error {
	err := o.file.Close()
	for end := time.Now().Add(closeTime); ; time.Sleep(20 * time.Millisecond) {
		if _, gone := os.Stat(o.sysfs); errors.Is(gone, os.ErrNotExist) {
			return err
		}
		if time.Now().After(end) {
			return errors.Join(err, fmt.Errorf("%s is still in use", o.Path))
		}
	}
}
