package deflate

import "hash/crc32"

// Position is a point in shared content: how many bytes come before it, and their
// CRC-32. The zero value is the beginning.
type Position struct {
	Bytes uint64
	CRC   uint32
}

// Add moves the position past content.
func (p *Position) Add(content []byte) {
	p.Bytes += uint64(len(content))
	p.CRC = crc32.Update(p.CRC, crc32.IEEETable, content)
}

// Sum is the checksum and size of one stream's content, relative to shared content. It
// does not change while the stream gets what all get, so a stream costs 8 bytes and no
// work:
//
// A CRC is linear. That of X followed by Y is crc(X)·x^(8·len(Y)) + crc(Y), modulo the
// polynomial, where + is exclusive or. So where both have got the same bytes, the
// stream's CRC and the shared one differ by d·x^(8n), n being the shared bytes until
// there, and d the same everywhere: d is what a Sum keeps.
type Sum struct {
	crc  uint32 // d
	size uint32 // of the stream less the shared bytes
}

// SumAt returns the Sum of a stream that has the content w where the shared content is
// at p.
func SumAt(p Position, w Whole) Sum {
	return Sum{crc: shift(w.CRC^p.CRC, -int64(p.Bytes%order)), size: w.Size - uint32(p.Bytes)}
}

// At returns the content of the stream where the shared content is at p.
func (s Sum) At(p Position) Whole {
	return Whole{CRC: shift(s.crc, int64(p.Bytes%order)) ^ p.CRC, Size: s.size + uint32(p.Bytes)}
}

// order is that of x modulo the polynomial: x^order is 1.
const order = 1<<32 - 1

// shift returns a·x^(8n) modulo the polynomial; n may be negative.
func shift(a uint32, n int64) uint32 {
	if a == 0 {
		return 0
	}
	if n < 0 {
		n += order
	}
	for i := 0; n > 0; i, n = i+1, n>>1 {
		if n&1 != 0 {
			a = multiply(powers[i], a)
		}
	}
	return a
}

// powers[i] is x^(8·2^i) modulo the polynomial.
var powers = func() (all [32]uint32) {
	p := uint32(1) << (31 - 8)
	for i := range all {
		all[i] = p
		p = multiply(p, p)
	}
	return all
}()

// multiply returns a·b modulo the polynomial. Both have the power x^i in bit 31-i, as
// CRC-32 does.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		product ^= b & -(a >> 31)
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return product
}
