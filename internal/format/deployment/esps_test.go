package deployment

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const someUUID = "01234567-89ab-4cde-8f01-23456789abcd"

func TestESPs(t *testing.T) {
	for _, e := range []ESPs{nil, {someUUID}, {someUUID, strings.Replace(someUUID, "0", "f", 1)}} {
		if got, err := ParseESPs(e.Encode()); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("ParseESPs(%s) = %+v, %v; want %+v", e.Encode(), got, err, e)
		}
	}
	var many ESPs
	for i := range MostESPs + 1 {
		many = append(many, fmt.Sprintf("%08x%s", i, someUUID[8:]))
	}
	for _, e := range []ESPs{{"sda1"}, {strings.ToUpper(someUUID)}, {""}, {someUUID, someUUID}, many} {
		if got, err := ParseESPs(e.Encode()); err == nil {
			t.Errorf("ParseESPs(%s) = %+v; want an error", e.Encode(), got)
		}
	}
	if got, err := ParseESPs([]byte(`{"esps": ["` + someUUID + `"]}`)); err == nil {
		t.Errorf("ParseESPs of texts = %+v; want an error", got)
	}
}

func FuzzParseESPs(f *testing.F) {
	f.Add(ESPs{someUUID}.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := ParseESPs(in)
		if err != nil {
			return
		}
		if again, err := ParseESPs(e.Encode()); err != nil || !reflect.DeepEqual(again, e) {
			t.Errorf("ParseESPs(%q) = %+v; read back %+v, %v", in, e, again, err)
		}
	})
}
