package deployment

import (
	"reflect"
	"testing"
)

func TestOverdue(t *testing.T) {
	for _, o := range []Overdue{
		{ID: ID(short)},
		{ID: ID(short), Boots: 12, BootID: "a", Error: "cannot \"finalize\":\nno", ErrorTime: "2026-08-01T00:00:00Z", ErrorBootID: "b"},
	} {
		if got, err := ParseOverdue(o.Encode()); err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("read back %+v, %v; want %+v", got, err, o)
		}
	}
	for _, in := range []string{"", "{}", `{"depl_id":"x"}`, `{"depl_id":"` + short + `","boots":1.5}`, `{"depl_id":"` + short + `","boots":"1"}`} {
		if got, err := ParseOverdue([]byte(in)); err == nil {
			t.Errorf("ParseOverdue(%q) = %+v; want an error", in, got)
		}
	}
}

func FuzzParseOverdue(f *testing.F) {
	f.Add([]byte(`{"depl_id":"` + short + `","boots":2,"error":"x"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		o, err := ParseOverdue(in)
		if err != nil {
			return
		}
		again, err := ParseOverdue(o.Encode())
		if err != nil || !reflect.DeepEqual(again, o) {
			t.Errorf("ParseOverdue(%q) = %+v; read back %+v, %v", in, o, again, err)
		}
	})
}
