// Package inspect looks into images: what one is, how two differ, and which ones a
// repository has. It changes nothing.
package inspect
