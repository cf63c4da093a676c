package layout

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// A Seed is what all UUIDs of a plan are computed from: the same seed gives the same.
type Seed [16]byte

// NewSeed returns a random seed.
func NewSeed() (Seed, error) {
	var s Seed
	_, err := rand.Read(s[:])
	return s, err
}

// ParseSeed reads a seed, which has the form of a UUID.
func ParseSeed(text string) (Seed, error) {
	var s Seed
	data, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(data) != len(s) {
		return s, fmt.Errorf("%q is not a UUID", text)
	}
	copy(s[:], data)
	return s, nil
}

// String returns the seed as a UUID.
func (s Seed) String() string { return uuidText(s[:]) }

// uuid returns the UUID of something with a name.
func (s Seed) uuid(name string) string {
	mac := hmac.New(sha256.New, s[:])
	mac.Write([]byte(name))
	sum := mac.Sum(nil)[:16]
	sum[6] = sum[6]&0x0f | 0x40 // RFC 9562, version 4
	sum[8] = sum[8]&0x3f | 0x80
	return uuidText(sum)
}

func uuidText(b []byte) string {
	x := hex.EncodeToString(b)
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}
