// Package schema checks JSON texts against a JSON schema.
package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
)

// A Schema is a part of a JSON schema, with those of its keywords that bootc's
// host-v1.schema.json and ours use.
type Schema struct {
	Ref        string            `json:"$ref"`
	Defs       map[string]Schema `json:"$defs"`
	Type       any               `json:"type"` // a name, or several
	Properties map[string]Schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *Schema           `json:"items"`
	AnyOf      []Schema          `json:"anyOf"`
	OneOf      []Schema          `json:"oneOf"`
	Enum       []any             `json:"enum"`
	Const      any               `json:"const"`
	// Additional is what further properties are; without it, anything.
	Additional *Schema `json:"additionalProperties"`
	// Nothing is the schema false, which no value has.
	Nothing bool `json:"-"`
}

// UnmarshalJSON reads an object with keywords, or true or false.
func (s *Schema) UnmarshalJSON(text []byte) error {
	var anything bool
	if json.Unmarshal(text, &anything) == nil {
		*s = Schema{Nothing: !anything}
		return nil
	}
	type keywords Schema // without this method
	return json.Unmarshal(text, (*keywords)(s))
}

// Read reads the schema in a file.
func Read(name string) (Schema, error) {
	var s Schema
	data, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	return s, err
}

// Problems returns what a JSON text does not have as the schema says.
func (s Schema) Problems(text string) []string {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return []string{err.Error()}
	}
	return s.check(s.Defs, "", value)
}

// check returns the problems of the value that stands at path.
func (s Schema) check(defs map[string]Schema, path string, value any) []string {
	if s.Ref != "" {
		s = defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	if s.Nothing {
		return []string{path + ": unknown"}
	}
	if s.Type != nil && !slices.ContainsFunc(list(s.Type), func(name any) bool { return isOf(value, name) }) {
		return []string{fmt.Sprintf("%s: %v is not of type %v", path, value, s.Type)}
	}
	if s.Const != nil && !reflect.DeepEqual(s.Const, value) {
		return []string{fmt.Sprintf("%s: %v is not %v", path, value, s.Const)}
	}
	if s.Enum != nil && !slices.ContainsFunc(s.Enum, func(v any) bool { return reflect.DeepEqual(v, value) }) {
		return []string{fmt.Sprintf("%s: %v is none of %v", path, value, s.Enum)}
	}
	var found []string
	for _, choices := range [][]Schema{s.AnyOf, s.OneOf} {
		found = append(found, checkChoices(choices, defs, path, value)...)
	}
	switch value := value.(type) {
	case map[string]any:
		found = append(found, s.checkObject(defs, path, value)...)
	case []any:
		for i, item := range value {
			if s.Items != nil {
				found = append(found, s.Items.check(defs, fmt.Sprintf("%s[%d]", path, i), item)...)
			}
		}
	}
	return found
}

func (s Schema) checkObject(defs map[string]Schema, path string, object map[string]any) []string {
	var found []string
	for _, name := range s.Required {
		if _, ok := object[name]; !ok {
			found = append(found, fmt.Sprintf("%s.%s: missing", path, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if _, known := s.Properties[name]; !known && s.Additional != nil {
			found = append(found, s.Additional.check(defs, path+"."+name, object[name])...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if value, ok := object[name]; ok {
			found = append(found, s.Properties[name].check(defs, path+"."+name, value)...)
		}
	}
	return found
}

// checkChoices returns the problems of the choice that has the fewest.
func checkChoices(choices []Schema, defs map[string]Schema, path string, value any) []string {
	var fewest []string
	for i, choice := range choices {
		if found := choice.check(defs, path, value); i == 0 || len(found) < len(fewest) {
			fewest = found
		}
	}
	return fewest
}

func list(v any) []any {
	if values, ok := v.([]any); ok {
		return values
	}
	return []any{v}
}

// isOf says whether a value is of one of JSON schema's types.
func isOf(value, name any) bool {
	switch value := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && value == float64(int64(value))
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}
