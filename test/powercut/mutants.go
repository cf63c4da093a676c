package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/mutate"
	"github.com/sysupdate-image/sysupdate-image/test/powercut/record"
)

// tryMutants tries all mutants and prints a table. The error says how many were
// not noticed, but for those that mutate.Unseen gives a reason for.
func tryMutants(ctx context.Context, lab record.Lab, s settings) error {
	only, err := regexp.Compile(s.only)
	if err != nil {
		return err
	}
	all, err := mutate.Find(lab.Repository)
	if err != nil {
		return err
	}
	unnoticed := 0
	for _, m := range all {
		if !only.MatchString(m.Name) {
			continue
		}
		if why := mutate.Unseen(m); why != "" {
			fmt.Printf("| `%s` | not tried: %s |\n", m.Name, why)
			continue
		}
		began := time.Now()
		v, err := lab.TryMutant(ctx, m, strings.Split(s.fstype, ","), s.plan.Cuts)
		if err != nil {
			fmt.Printf("| `%s` | cannot be tried: %.300v |\n", m.Name, err)
			unnoticed++
			continue
		}
		result := fmt.Sprintf("**not noticed** at %d power cuts", v.Cuts)
		if v.Killed {
			result = fmt.Sprintf("noticed on %s, %v: %.240s", v.FSType, v.Conditions, strings.ReplaceAll(v.How, "\n", " "))
		} else {
			unnoticed++
		}
		fmt.Printf("| `%s` | %s (%.0f s) |\n", m.Name, result, time.Since(began).Seconds())
	}
	if unnoticed > 0 {
		return fmt.Errorf("%d mutants were not noticed", unnoticed)
	}
	return nil
}
