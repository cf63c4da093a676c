package deployment

import (
	"reflect"
	"testing"
)

func TestLoader(t *testing.T) {
	for _, l := range []Loader{
		{Kind: NoLoader},
		{Kind: SystemdBoot, Version: "257.13", Files: []LoaderFile{{"EFI/BOOT/BOOTX64.EFI", "00"}}},
		{Kind: GRUB, Version: "2.12", BIOS: "2.12", Config: "22", Files: []LoaderFile{{"a", "00"}, {`b"`, "11"}}},
	} {
		if got, err := ParseLoader(l.Encode()); err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("ParseLoader(%s) = %+v, %v; want %+v", l.Encode(), got, err, l)
		}
	}
	for _, in := range []string{"", "[]", "{}", `{"loader": "lilo"}`, `{"loader": 1}`, `{"loader": "grub", "files": {}}`, `{"loader": "grub", "files": [1]}`} {
		if got, err := ParseLoader([]byte(in)); err == nil {
			t.Errorf("ParseLoader(%q) = %+v; want an error", in, got)
		}
	}
}

func FuzzParseLoader(f *testing.F) {
	f.Add(Loader{Kind: GRUB, Version: "2.12", Files: []LoaderFile{{"a", "00"}}}.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		l, err := ParseLoader(in)
		if err != nil {
			return
		}
		if again, err := ParseLoader(l.Encode()); err != nil || !reflect.DeepEqual(again, l) {
			t.Errorf("ParseLoader(%q) = %+v; read back %+v, %v", in, l, again, err)
		}
	})
}
