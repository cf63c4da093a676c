//go:build !amd64

package verity

import "crypto/sha512"

func hasWide() bool { return false }

func sumWide(*[wide * blockSize]byte) [wide][sha512.Size]byte { panic("not on this machine") }
