package uevent

import (
	"maps"
	"strings"
	"testing"
)

const message = "add@/devices/pci0000:00/0000:00:03.0/virtio0/block/vda\x00ACTION=add\x00" +
	"DEVPATH=/devices/pci0000:00/0000:00:03.0/virtio0/block/vda\x00SUBSYSTEM=block\x00MAJOR=254\x00DEVNAME=vda\x00SEQNUM=1047\x00"

func TestParse(t *testing.T) {
	got, err := Parse([]byte(message))
	if err != nil {
		t.Fatal(err)
	}
	if got.Action != "add" || got.Path != "/devices/pci0000:00/0000:00:03.0/virtio0/block/vda" ||
		got.Values["DEVNAME"] != "vda" || got.Values["SUBSYSTEM"] != "block" || len(got.Values) != 6 {
		t.Errorf("Parse(%q) = %q", message, got)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "add@/devices/x", "libudev\x00\xfe\xed\xca\xfe", "@/x\x00", "add@x\x00", "add\x00"} {
		if got, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), "invalid uevent") {
			t.Errorf("Parse(%q) = %q, %v; want an error", text, got, err)
		}
	}
}

func TestParseFile(t *testing.T) {
	const text = "MAJOR=254\nMINOR=1\nDEVNAME=vda1\nDEVTYPE=partition\nPARTNAME=a=b\n\nnonsense\n=x\n"
	want := Values{"MAJOR": "254", "MINOR": "1", "DEVNAME": "vda1", "DEVTYPE": "partition", "PARTNAME": "a=b"}
	if got := ParseFile(text); !maps.Equal(got, want) {
		t.Errorf("ParseFile(%q) = %q; want %q", text, got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(message))
	f.Add([]byte("remove@/x\x00=\x00A=\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			return
		}
		again := e.Action + "@" + e.Path + "\x00"
		for key, value := range e.Values {
			again += key + "=" + value + "\x00"
		}
		if got, err := Parse([]byte(again)); err != nil || got.Action != e.Action || got.Path != e.Path || !maps.Equal(got.Values, e.Values) {
			t.Errorf("Parse(%q) = %q; written again %q, %v", data, e, got, err)
		}
	})
}
