package ui

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Whatever JSON says, YAML says too, as another program reads it.
func TestPrintYAML(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `"a"`, `[[], {}, [1], [[1, [2]], {"a": [{"b": null}]}]]`, `{"a": {"b": {"c": []}}, "d": 1.5, "e": true}`,
		`["", "a b", "a: b", "- a", "# a", "yes", "No", "null", "~", "1", "1e3", "0x1", "1:30", "2026-01-02", "2026-01-02T03:04:05Z"]`,
		`["a:b", "a:", ":a", "sha256:00", "docker://x/y:z", "*a", "&a", "!a", "%a", "@a", "a\nb", "a\tb", "ü\u202ex", "\"", "'", "\\", "{a}", "[a]", "a,b", " a", "a ", "=", "<<"]`,
		`{"": 1, "a b": 2, "true": 3, "1": 4}`, `[12345678901234, -1]`, `[{"a": 1, "b": [1, 2]}, {"c": {"d": "e"}}]`,
	} {
		var want, got any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		screen := Screen{Out: &out}
		if err := screen.PrintYAML(want); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(out.Bytes(), &got); err != nil {
			t.Errorf("%s is\n%s\nwhich is no YAML: %v", text, out.String(), err)
			continue
		}
		back, err := json.Marshal(got)
		if err == nil {
			err = json.Unmarshal(back, &got)
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is\n%s\nwhich is %v, %v", text, out.String(), got, err)
		}
	}
}
