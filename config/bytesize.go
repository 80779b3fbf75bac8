package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// ByteSize is a number of bytes.
type ByteSize int64

var units = []struct {
	suffix string
	bytes  ByteSize
}{
	// A suffix comes before the shorter one that it ends with.
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"MB", 1e6},
	{"KB", 1e3},
	{"B", 1},
}

var errByteSize = errors.New("is not a size: write bytes as a whole number, alone or with KiB, MiB, KB or MB, as in 64KiB")

// ParseByteSize reads a whole number, alone or with B, KB, KiB, MB or MiB, in
// any case and with or without spaces between.
func ParseByteSize(text string) (ByteSize, error) {
	unit := ByteSize(1)
	for _, u := range units {
		n := len(text) - len(u.suffix)
		if n >= 0 && strings.EqualFold(text[n:], u.suffix) {
			text, unit = strings.TrimRight(text[:n], " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > uint64(math.MaxInt64/unit) {
		return 0, errByteSize
	}
	return ByteSize(n) * unit, nil
}

// String is what ParseByteSize reads, in the largest of MiB, KiB and B that
// leaves a whole number.
func (n ByteSize) String() string {
	size, suffix := n, "B"
	for _, u := range units[:2] {
		if n != 0 && n%u.bytes == 0 {
			size, suffix = n/u.bytes, u.suffix
			break
		}
	}
	return strconv.FormatInt(int64(size), 10) + suffix
}
