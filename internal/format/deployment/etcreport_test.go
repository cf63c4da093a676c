package deployment

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

func TestEtcReport(t *testing.T) {
	full := EtcReport{
		From: EtcSide{ID(short), EtcOverlay}, To: EtcSide{ID(long), EtcBind}, Time: "2026-11-24T12:00:00Z", Policy: ConflictsKeep,
		Changes:   []EtcChange{{"/etc/a \"b\"", "changed", []string{"content", "mode"}}, {Path: "/etc/c", Kind: "added"}},
		Conflicts: []EtcConflict{{"/etc/d", "both", []string{"/etc/d/x"}, ConflictsKeep, "/etc/.conflicts/x/d"}, {Path: "/etc/e", Reason: "r"}},
		Defaults:  []string{"/etc/f"},
		Records:   []EtcRecords{{"/etc/group", []string{"a"}, []string{"b"}, []string{"c"}, []string{"d", "# e\n"}}},
		Warnings:  []string{"look\tat ü"},
	}
	for _, r := range []EtcReport{{}, full} {
		got, err := ParseEtcReport(r.Encode())
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("ParseEtcReport(Encode()) = %+v, %v; want %+v", got, err, r)
		}
		// What other programs read is the same.
		var other EtcReport
		d := json.NewDecoder(bytes.NewReader(r.Encode()))
		d.DisallowUnknownFields()
		if err := d.Decode(&other); err != nil || !reflect.DeepEqual(other, r) {
			t.Errorf("encoding/json reads %+v, %v; want %+v", other, err, r)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseEtcReport(text); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("ParseEtcReport(%s) = %+v, %v; want %+v", text, got, err, r)
		}
	}
}

// Reports that were kept by an earlier version have another word.
func TestParseOldEtcReport(t *testing.T) {
	r, err := ParseEtcReport([]byte(`{"changes":[{"path":"/etc/a","kind":"modified"},{"path":"/etc/b","kind":"metadata"}]}`))
	if err != nil || len(r.Changes) != 2 || r.Changes[0].Kind != "changed" || r.Changes[1].Kind != "metadata" {
		t.Errorf("ParseEtcReport() = %+v, %v; want /etc/a changed", r, err)
	}
}

func TestParseEtcReportRefuses(t *testing.T) {
	for _, in := range []string{
		"", "[]", `{"from":1}`, `{"time":1}`, `{"changes":{}}`, `{"changes":[1]}`, `{"changes":[{"what":[1]}]}`, `{"defaults":[{}]}`,
		`{"conflicts":[{"aside":[]}]}`, `{"records":[{"merged":"a"}]}`,
	} {
		if r, err := ParseEtcReport([]byte(in)); err == nil {
			t.Errorf("ParseEtcReport(%s) = %+v; want an error", in, r)
		}
	}
}

func FuzzParseEtcReport(f *testing.F) {
	f.Add([]byte(`{"from":{"deployment":"a"},"changes":[{"path":"b","what":["c"]}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := ParseEtcReport(in)
		if err != nil {
			return
		}
		again, err := ParseEtcReport(r.Encode())
		if err != nil || string(again.Encode()) != string(r.Encode()) {
			t.Errorf("%q encodes to %q, and that to %q, %v", in, r.Encode(), again.Encode(), err)
		}
	})
}

func TestEtcConflictString(t *testing.T) {
	for _, tt := range []struct {
		c    EtcConflict
		want string
	}{
		{EtcConflict{Path: "/etc/a", Reason: "r", Local: []string{"/etc/a"}}, "/etc/a: r"},
		{EtcConflict{Path: "/etc/a", Reason: "r", Local: []string{"/etc/a/b", "/etc/a/\x1b"}, Wins: ConflictsKeep},
			`/etc/a: r: /etc/a/b, "/etc/a/\x1b"; keeping the local version`},
		{EtcConflict{"/etc/\n", "r", nil, ConflictsNew, "/etc/x/\n"}, `"/etc/\n": r; using the image's version; the local version is in "/etc/x/\n"`},
	} {
		if got := tt.c.String(); got != tt.want {
			t.Errorf("%#v.String() = %s; want %s", tt.c, got, tt.want)
		}
	}
}
