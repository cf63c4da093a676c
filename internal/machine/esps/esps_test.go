package esps

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/partition"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

const uuid = "01234567-89ab-4cde-8f01-23456789abcd"

func TestPartUUID(t *testing.T) {
	for want, entry := range map[string]partition.Partition{
		uuid:                   {Type: typeESP, UUID: uuid},
		"is not an EFI system": {Type: "0fc63daf-8483-4772-8e79-3d69d8477de4", UUID: uuid},
		"has no UUID":          {Type: typeESP, UUID: "0123abcd-01"},
	} {
		s := System{Entry: func(string) (partition.Partition, error) { return entry, nil }}
		got, err := s.PartUUID("/dev/sdb1")
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("PartUUID = %s; want %s", got, want)
		}
	}
	if _, err := Host().PartUUID(t.TempDir()); !errors.Is(err, syscall.ENOTBLK) {
		t.Errorf("PartUUID of a directory: %v", err)
	}
}

// The partition that a machine boots from is known by its device, or by where it is mounted.
func TestPartUUIDOf(t *testing.T) {
	p, err := boot.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s := Host()
	s.Mounted = func(dir string) (partition.Partition, error) {
		if dir != p.String() {
			return partition.Partition{}, fs.ErrNotExist
		}
		return partition.Partition{Type: typeESP, UUID: uuid}, nil
	}
	if got, err := s.PartUUIDOf(p); got != uuid || err != nil {
		t.Errorf("PartUUIDOf = %q, %v; want %s", got, err, uuid)
	}
}

// What is wrong with one partition does not keep the others from being looked at.
func TestLookStates(t *testing.T) {
	first, err := boot.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	broken := errors.New("broken")
	s := System{
		Find: func(partuuid string) (string, error) {
			if strings.HasSuffix(partuuid, "1") {
				return "", fs.ErrNotExist
			}
			return first.String(), map[bool]error{true: broken}[strings.HasSuffix(partuuid, "2")]
		},
		Mount: func(device string, writable bool) (*boot.Partition, error) {
			if writable {
				return nil, broken
			}
			return boot.OpenDir(device)
		},
	}
	all := deployment.ESPs{"1", "2", "3"}
	got := s.Look(t.Context(), all, First{Entries: first}, Sizes)
	if len(got) != 2 || got[0].State != Missing || got[1].State != Unknown || !errors.Is(got[1].Err, broken) {
		t.Errorf("Look = %+v; want one that is missing, one that is unknown, and not the first", got)
	}
	if got := s.Update(t.Context(), all, First{Entries: first}, Sizes); len(got) != 3 || got[2].State != Unknown {
		t.Errorf("Update = %+v; want that the third cannot be mounted", got)
	}
}
