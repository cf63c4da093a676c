package main

import (
	"fmt"
	"regexp"
	"strings"
)

// A block is commands of a document, and what they answer.
type block struct {
	line   int    // of the document
	where  string // what the first line says, "" for the Debian that the reader has
	text   string
	answer string // "" if the document has none
}

// What the first line of a block may begin with.
const (
	inMachine  = "# in the machine"
	inTerminal = "# in a second terminal"
	notInTest  = "# not in the test: "
	// onceQuiet ends the first line of a block before which the machine has restarted by itself.
	onceQuiet = ", once it is quiet"
)

// blocks returns those of a document: ```sh begins one, and ```text what it answers.
func blocks(document string) (found []block, err error) {
	var inside string // the kind of the block
	var lines []string
	for n, line := range strings.Split(document, "\n") {
		kind, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && inside == "":
			inside, lines = kind, nil
		case fence && kind == "":
			if found, err = add(found, inside, n-len(lines)+1, lines); err != nil {
				return nil, err
			}
			inside = ""
		case fence:
			return nil, fmt.Errorf("line %d: a block begins in another one", n+1)
		case inside != "":
			lines = append(lines, line)
		}
	}
	if inside != "" {
		return nil, fmt.Errorf("the last block does not end")
	}
	return found, nil
}

// add adds a block of a kind, whose first line has a number.
func add(found []block, kind string, number int, lines []string) ([]block, error) {
	text := strings.Join(lines, "\n") + "\n"
	switch kind {
	case "sh":
		b := block{line: number, text: text}
		if strings.HasPrefix(text, "# ") {
			b.where, b.text, _ = strings.Cut(text, "\n")
		}
		for _, known := range []string{"", inMachine, inMachine + onceQuiet, inTerminal} {
			if b.where == known {
				return append(found, b), nil
			}
		}
		if strings.HasPrefix(b.where, notInTest) {
			return append(found, b), nil
		}
		return nil, fmt.Errorf("line %d: where is %q?", number, b.where)
	case "text":
		if len(found) == 0 || found[len(found)-1].answer != "" {
			return nil, fmt.Errorf("line %d: an answer to no commands", number)
		}
		found[len(found)-1].answer = text
		return found, nil
	}
	return nil, fmt.Errorf("line %d: a block of kind %q; want sh or text", number, kind)
}

// matches reports whether output is what a document says: there, … in a line is any text,
// and in a line of its own any lines.
func matches(output, answer string) bool {
	var expression strings.Builder
	for line := range strings.Lines(answer) {
		line = strings.TrimRight(line, " \n")
		if line == "…" {
			expression.WriteString(`(?:.*\n)*?`)
			continue
		}
		expression.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + ` *\n`)
	}
	return regexp.MustCompile(`\A` + expression.String() + `\z`).MatchString(strings.TrimRight(output, "\n") + "\n")
}
