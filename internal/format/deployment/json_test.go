package deployment

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

var jsonTexts = []string{
	`null`, ` true `, `"a\u00e9\ud83d\ude00\n\/"`, `"\ud83d"`, `"\ud83d\u0041"`, `"\ud83dx"`, `[]`, `[1, -0.5e+3 ,"x"]`,
	`{}`, `{"a":{"b":[null,false]},"a":2}`, "{\"a\"\n:\t1 }",
	``, ` `, `tru`, `"`, `"\`, `"\x"`, `"\u12"`, "\"\n\"", `[1,]`, `[,1]`, `[1 2]`, `[1`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1,}`,
	`{"a":1`, `01`, `1.`, `.5`, `-`, `1e`, `+1`, `1 2`, `nulll`, "\xff", `"` + "\xff" + `"`, `"\u+123"`, `1e999`,
}

// agree compares parseJSON with encoding/json.
func agree(t *testing.T, text []byte) {
	t.Helper()
	got, err := parseJSON(text)
	valid := json.Valid(text)
	if err != nil && valid {
		// encoding/json takes what is not UTF-8, and deeper nesting.
		if !utf8.Valid(text) || strings.Contains(err.Error(), "too deep") {
			return
		}
	}
	if (err == nil) != valid {
		t.Errorf("parseJSON(%q) error = %v; encoding/json says valid: %v", text, err, valid)
	}
	if err != nil || !valid {
		return
	}
	var want any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // numbers may be larger than any type here
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plain(got), plain(want)) {
		t.Errorf("parseJSON(%q) = %#v; want %#v", text, got, want)
	}
}

// plain turns numbers into strings, of which both parsers have their own type.
func plain(v any) any {
	switch v := v.(type) {
	case jsonNumber:
		return "number " + string(v)
	case json.Number:
		return "number " + string(v)
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, plain(e))
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	}
	return v
}

func TestParseJSON(t *testing.T) {
	for _, text := range jsonTexts {
		agree(t, []byte(text))
	}
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	if _, err := parseJSON([]byte(deep)); err == nil || !strings.Contains(err.Error(), "too deep") {
		t.Errorf("1000 arrays in each other: error %v", err)
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(agree)
}

func FuzzQuoteJSON(f *testing.F) {
	f.Add("a\"\\\n\x00\x7f\xff é")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal([]byte(quoteJSON(s)), &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("quoteJSON(%q) = %s; read back %q, %v", s, quoteJSON(s), got, err)
		}
	})
}
