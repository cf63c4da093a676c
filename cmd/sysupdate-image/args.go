package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// needArgs makes a failed check an error that shows the usage.
func needArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		if cmd.HasAvailableSubCommands() {
			return usageError{unknownCommand(cmd, args[0])}
		}
		return usageError{fmt.Errorf("%s: wrong number of arguments (%d); usage: %s", nameOf(cmd), len(args), cmd.UseLine())}
	}
}

// exclude makes it wrong usage to give both flags of a pair. cobra is told for
// completion only: its error would not be a usageError.
func exclude(cmd *cobra.Command, pairs ...[2]string) {
	for _, p := range pairs {
		cmd.MarkFlagsMutuallyExclusive(p[0], p[1])
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, p := range pairs {
			if cmd.Flags().Changed(p[0]) && cmd.Flags().Changed(p[1]) {
				return usageError{fmt.Errorf("%s: --%s and --%s cannot be combined", nameOf(cmd), p[0], p[1])}
			}
		}
		return nil
	}
}

// wrongFlag returns the error about a flag that was given wrongly. It says in words what the value
// has to be.
func wrongFlag(err error) usageError {
	value, isValue := errors.AsType[*pflag.InvalidValueError](err)
	number, isNumber := errors.AsType[*strconv.NumError](err)
	want := ""
	switch {
	case !isValue || !isNumber:
		return usageError{err}
	case number.Func == "ParseBool":
		want = "true or false"
	case errors.Is(err, strconv.ErrRange):
		want = "a smaller number"
	default:
		want = "a number"
	}
	return usageError{fmt.Errorf("--%s %q: want %s", value.GetFlag().Name, value.GetValue(), want)}
}

// nameOf returns the name of a command without that of the program.
func nameOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

func unknownCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2
	if similar := cmd.SuggestionsFor(name); len(similar) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s %s?", name, cmd.CommandPath(), strings.Join(similar, " or "))
	}
	return fmt.Errorf("unknown command %q", strings.TrimPrefix(cmd.CommandPath()+" "+name, cmd.Root().Name()+" "))
}

// must panics on an error that only a bug in this program can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// first returns the first argument, "" if there is none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
