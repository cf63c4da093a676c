package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
)

// PrintYAML prints v as YAML: what encoding/json makes of it, in the same order.
func (s *Screen) PrintYAML(v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(printable.JSON(text.Bytes())))
	dec.UseNumber()
	var out strings.Builder
	if err := writeYAML(&out, dec, "", ""); err != nil {
		return err
	}
	_, err := s.Out.Write([]byte(strings.TrimPrefix(out.String(), "\n")))
	return err
}

// writeYAML writes the next value. before comes between a key and a value on its line, indent
// before the lines of a value that has several.
func writeYAML(out *strings.Builder, dec *json.Decoder, before, indent string) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case json.Delim:
		if !dec.More() {
			empty := map[json.Delim]string{'{': "{}", '[': "[]"}[t]
			fmt.Fprintf(out, "%s%s\n", before, empty)
		} else {
			out.WriteByte('\n')
			err = writeYAMLItems(out, dec, t == '[', indent)
		}
		if err == nil {
			_, err = dec.Token() // the end
		}
		return err
	case string:
		fmt.Fprintf(out, "%s%s\n", before, yamlString(t))
	case nil:
		fmt.Fprintf(out, "%snull\n", before)
	default: // a number or a boolean
		fmt.Fprintf(out, "%s%v\n", before, t)
	}
	return nil
}

// writeYAMLItems writes what is in an array or an object, a line or more each.
func writeYAMLItems(out *strings.Builder, dec *json.Decoder, array bool, indent string) error {
	for dec.More() {
		if array {
			var item strings.Builder
			if err := writeYAML(&item, dec, "", indent+"  "); err != nil {
				return err
			}
			// The first line of an item goes behind its dash.
			text := strings.TrimPrefix(strings.TrimPrefix(item.String(), "\n"), indent+"  ")
			fmt.Fprintf(out, "%s- %s", indent, text)
			continue
		}
		key, err := dec.Token()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s%s:", indent, yamlString(key.(string)))
		if err := writeYAML(out, dec, " ", indent+"  "); err != nil {
			return err
		}
	}
	return nil
}

// plainYAML matches what no reader of YAML takes for anything but a string, unless it is one
// of yamlWords.
var (
	plainYAML = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./+-]*(:[A-Za-z0-9_./+-]+)*$`)
	yamlWords = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null)$`)
)

// yamlString returns a string as YAML has it. What JSON puts between quotes, YAML does too.
func yamlString(s string) string {
	if plainYAML.MatchString(s) && !yamlWords.MatchString(s) {
		return s
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // it came from JSON
		return `""`
	}
	return strings.TrimSpace(text.String())
}
