package deployment

import (
	"encoding/json"
	"testing"
)

func TestVarPartition(t *testing.T) {
	v := VarPartition{PartUUID: "01234567-89ab-4cde-8f01-23456789abcd", FileSystem: "ext4", Dir: "default"}
	got, err := ParseVarPartition(v.Encode())
	if err != nil || got != v || !json.Valid(v.Encode()) {
		t.Errorf("ParseVarPartition(%s) = %+v, %v; want %+v", v.Encode(), got, err, v)
	}
	if f := v.Fresh(); f == v || f.Fresh() != v {
		t.Errorf("Fresh() = %+v, and of that %+v; want another one, and the first again", f, f.Fresh())
	}
	for _, change := range []func(*VarPartition){
		func(v *VarPartition) { v.PartUUID = "sda3" },
		func(v *VarPartition) { v.PartUUID = "01234567-89AB-4CDE-8F01-23456789ABCD" },
		func(v *VarPartition) { v.FileSystem = "" },
		func(v *VarPartition) { v.FileSystem = "../x" },
		func(v *VarPartition) { v.Dir = "" },
		func(v *VarPartition) { v.Dir = ".." },
		func(v *VarPartition) { v.Dir = "a/b" },
	} {
		bad := v
		change(&bad)
		if got, err := ParseVarPartition(bad.Encode()); err == nil {
			t.Errorf("ParseVarPartition(%s) = %+v; want an error", bad.Encode(), got)
		}
	}
	if _, err := ParseVarPartition([]byte(`{"partuuid": 1}`)); err == nil {
		t.Error("a number was read as a UUID")
	}
}

func FuzzParseVarPartition(f *testing.F) {
	f.Add(VarPartition{PartUUID: someUUID, FileSystem: "ext4", Dir: "default"}.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := ParseVarPartition(in)
		if err != nil {
			return
		}
		if again, err := ParseVarPartition(v.Encode()); err != nil || again != v {
			t.Errorf("ParseVarPartition(%q) = %+v; read back %+v, %v", in, v, again, err)
		}
	})
}
