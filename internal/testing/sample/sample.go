// Package sample says how much of everything a test tries: all of it in make check, and a sample
// with -short, as in make test, which people wait for.
package sample

import "testing"

// Stride is the distance between the cases that a test tries of those that lie in a row, such as
// the steps after which a change is stopped.
func Stride() int {
	if testing.Short() {
		return 3
	}
	return 1
}

// Of returns how many of n random cases a test tries: at least one.
func Of(n int) int {
	if testing.Short() {
		n /= 5
	}
	return max(n, 1)
}
