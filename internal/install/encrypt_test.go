package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/image/cryptroot"
	"github.com/sysupdate-image/sysupdate-image/internal/image/installconfig"
	"github.com/sysupdate-image/sysupdate-image/internal/install/layout"
)

// What is asked for has to be allowed by the image; else its first wish counts.
func TestSettleBlocks(t *testing.T) {
	for _, tt := range []struct {
		asked   string
		allowed []string
		want    string // the beginning of an error begins with !
	}{
		{"", nil, Direct},
		{TPM2LUKS, nil, TPM2LUKS},
		{"", []string{TPM2LUKS, Direct}, TPM2LUKS},
		{Direct, []string{TPM2LUKS, Direct}, Direct},
		{TPM2LUKS, []string{Direct}, "!block set-up tpm2-luks is not allowed by the image, only direct"},
		{"lvm", nil, "!block set-up lvm is not supported"},
		{"", []string{"lvm"}, "!block set-up lvm is not supported"},
	} {
		o := DiskOptions{Options: Options{BlockSetup: tt.asked}}
		err := o.settleBlocks(installconfig.Config{Block: tt.allowed})
		got := o.BlockSetup
		if err != nil {
			got = "!" + err.Error()
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q of %q: %s; want %s", tt.asked, tt.allowed, got, tt.want)
		}
	}
}

func TestCheckEncryption(t *testing.T) {
	lacks := &cryptroot.LackError{Things: []string{"x"}}
	for _, tt := range []struct {
		o    DiskOptions
		img  Image
		want error
	}{
		{DiskOptions{}, Image{}, nil},
		{DiskOptions{}, Image{opens: lacks}, lacks},
		{DiskOptions{}, Image{opens: &cryptroot.UnknownError{Err: lacks}}, nil},
		{DiskOptions{Loopback: true}, Image{}, ErrOtherTPM},
		{DiskOptions{VarSize: 1}, Image{}, ErrVarOpen},
		{DiskOptions{Options: Options{IgnoreConfig: true}}, Image{}, ErrNotLooked},
	} {
		tt.o.BlockSetup = TPM2LUKS
		if err := tt.o.checkEncryption(tt.img); !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v; want %v", tt.o, err, tt.want)
		}
		tt.o.BlockSetup = Direct
		if err := tt.o.checkEncryption(tt.img); err != nil {
			t.Errorf("direct, %+v: %v", tt.o, err)
		}
	}
	o := DiskOptions{Options: Options{BlockSetup: Direct}, Encryption: Encryption{Asked: true}}
	if err := o.checkEncryption(Image{}); !errors.Is(err, ErrNotEncrypted) {
		t.Errorf("with options about encryption: %v; want ErrNotEncrypted", err)
	}
}

// An encrypted root is opened by its UUID, and the file system in it found by its own.
func TestRootArgs(t *testing.T) {
	spec := "LABEL=x"
	const open = "rd.luks.uuid=L rd.luks.options=L=tpm2-device=auto"
	for _, tt := range []struct {
		fileSystem, luks string
		config           installconfig.Config
		want             string
	}{
		{"ext4", "L", installconfig.Config{}, open + " root=UUID=F"},
		{"btrfs", "L", installconfig.Config{}, open + " root=UUID=F rootflags=subvol=/"},
		{"ext4", "L", installconfig.Config{RootMount: &spec}, open + " root=LABEL=x"},
		{"ext4", "", installconfig.Config{RootMount: &spec}, "root=LABEL=x"},
		{"ext4", "", installconfig.Config{}, ""},
	} {
		p := DiskPlan{Loader: Loaders[0], Layout: layout.Plan{Partitions: []layout.Partition{
			{Role: layout.Root, FileSystem: tt.fileSystem, FSUUID: "F", LUKS: tt.luks},
		}}}
		if got := p.rootArgs(tt.config); !slices.Equal(got, strings.Fields(tt.want)) {
			t.Errorf("%s: %q; want %q", tt.fileSystem, got, tt.want)
		}
	}
}

// The file for the recovery key is new, only root reads it, and it is not left without a key that
// counts.
func TestKeyFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "key")
	e := Encryption{KeyFile: name}
	k, err := e.newKeyFile()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.newKeyFile(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second file: %v; want that there is one", err)
	}
	if err := k.put("secret"); err != nil {
		t.Fatal(err)
	}
	k.close(true)
	text, err := os.ReadFile(name)
	info, err2 := os.Stat(name)
	if err != nil || err2 != nil || string(text) != "secret\n" || info.Mode().Perm() != 0o600 {
		t.Errorf("%q, %v; %v, %v; want the key, for root only", text, err, info, err2)
	}
	e.KeyFile += "2"
	if k, err = e.newKeyFile(); err != nil {
		t.Fatal(err)
	}
	k.close(false)
	if _, err := os.Stat(e.KeyFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v; want that there is no file", err)
	}
	if _, err := (Encryption{}).newKeyFile(); !errors.Is(err, ErrKeyNowhere) {
		t.Errorf("without a terminal: %v; want ErrKeyNowhere", err)
	}
	k, err = Encryption{Shown: true}.newKeyFile()
	if k.close(false); k != nil || err != nil {
		t.Errorf("on a terminal: %v, %v; want no file", k, err)
	}
}
