package schema

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestSchema(t *testing.T) {
	var s Schema
	if err := json.Unmarshal([]byte(`{
		"type": "object", "required": ["kind", "list"],
		"properties": {
			"kind": {"const": "host"},
			"list": {"type": "array", "items": {"$ref": "#/$defs/entry"}},
			"closed": {"type": "object", "additionalProperties": false},
			"open": {"type": "object", "additionalProperties": true},
			"texts": {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
			"more": {"anyOf": [{"$ref": "#/$defs/entry"}, {"type": "null"}]}
		},
		"$defs": {"entry": {"type": "object", "required": ["n"], "properties": {
			"n": {"type": ["integer", "null"]}, "s": {"type": "string", "enum": ["a", "b"]}
		}}}
	}`), &s); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		text string
		want []string
	}{
		{`{"kind": "host", "list": [], "ours": 1}`, nil},
		{`{"kind": "host", "list": [{"n": 1}, {"n": null, "s": "b"}], "more": null}`, nil},
		{`{"kind": "guest"}`, []string{".list: missing", ".kind: guest is not host"}},
		{`{"kind": "host", "list": {}}`, []string{".list: map[] is not of type array"}},
		{`{"kind": "host", "list": [{"n": 1.5}, {"s": "c"}]}`, []string{
			".list[0].n: 1.5 is not of type [integer null]", ".list[1].n: missing", ".list[1].s: c is none of [a b]",
		}},
		{`{"kind": "host", "list": [], "more": {"n": "1"}}`, []string{".more.n: 1 is not of type [integer null]"}},
		{`{"kind": "host", "list": [], "closed": {"n": 1}}`, []string{".closed.n: unknown"}},
		{`{"kind": "host", "list": [], "open": {"n": 1}, "texts": {"n": 1, "s": "x"}}`, nil},
		{`{"kind": "host", "list": [], "texts": {"n": "x", "s": 1}}`, []string{".texts.s: 1 is not of type string", ".texts.n: x is not of type integer"}},
		{`[]`, []string{": [] is not of type object"}},
		{`{`, []string{"unexpected end of JSON input"}},
	}
	for _, tt := range tests {
		if got := s.Problems(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("problems(%s) = %q; want %q", tt.text, got, tt.want)
		}
	}
}
