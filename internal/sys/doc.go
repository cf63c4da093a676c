// Package sys is the one door to the kernel: a function for each thing that the
// kernel can do and the standard library cannot, named after it and without a
// policy. Its errors name the call, the object and the kernel's own words. It
// hides golang.org/x/sys/unix, which no other package imports.
package sys
