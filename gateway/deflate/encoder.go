package deflate

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"time"
)

// WindowBytes is how much content an Encoder refers back to at most.
const WindowBytes = 1<<16 - 1

// maxDistance is how far back a block can refer (RFC 1951 section 3.2.5).
const maxDistance = 1 << 15

// A match is at least minMatch long here, as fixed codes make a shorter one no cheaper
// than its bytes.
const (
	minMatch = 4
	maxMatch = 258
)

// Encoder compresses the content of one shared stream. It takes 8 KiB and its window,
// where compress/flate takes 800 KiB or more for each Writer: a node with a thousand
// busy channels has a thousand of them. It uses the fixed codes of RFC 1951 section
// 3.2.6, because a part is a message or few, and a table of codes costs more than it
// saves.
type Encoder struct {
	table  [1 << tableBits]uint16 // by hash of minMatch bytes: 1 + where they are in window, or 0
	window []byte                 // the content since the last fresh part
	began  time.Time              // when the window did
}

const tableBits = 12

var encoders = sync.Pool{New: func() any { return new(Encoder) }}

// spareWindow is the largest window that the pool keeps.
const spareWindow = 2 * WindowBytes

// NewEncoder returns an encoder without content, at a time. Call Free when done.
func NewEncoder(now time.Time) *Encoder {
	e := encoders.Get().(*Encoder)
	e.began = now
	return e
}

// Free gives the encoder back to the pool.
func (e *Encoder) Free() {
	e.Reset(time.Time{})
	if cap(e.window) > spareWindow {
		e.window = nil
	}
	encoders.Put(e)
}

// Reset forgets the content, so that the next part is fresh.
func (e *Encoder) Reset(now time.Time) {
	if len(e.window) > 0 {
		clear(e.table[:])
		e.window = e.window[:0]
	}
	e.began = now
}

// Prime notes content that all streams of the parts to come have got just before, so that
// these refer to it. Only the end of it counts if it is large.
func (e *Encoder) Prime(content []byte) {
	content = content[max(0, len(content)-WindowBytes):]
	e.Reset(e.began)
	e.window = append(e.window, content...)
	for at := range content {
		e.note(at)
	}
}

// Age is the time since the last reset.
func (e *Encoder) Age(now time.Time) time.Duration { return now.Sub(e.began) }

// Append appends content, compressed, as a part. fresh reports whether the part refers
// to nothing before it. Content that is not smaller when compressed is stored.
func (e *Encoder) Append(b, content []byte, now time.Time) (_ []byte, fresh bool) {
	if len(e.window)+len(content) > WindowBytes {
		e.Reset(now)
	}
	fresh = len(e.window) == 0
	for len(content) > WindowBytes {
		b = e.appendBlock(b, content[:WindowBytes])
		e.Reset(now)
		content = content[WindowBytes:]
	}
	return e.appendBlock(b, content), fresh
}

// appendBlock appends content, for which the window has room, as a block and an empty
// stored one.
func (e *Encoder) appendBlock(b, content []byte) []byte {
	start, from := len(b), len(e.window)
	e.window = append(e.window, content...)
	w := bitWriter{b: b}
	w.put(0b010, 3) // not the last block; fixed codes
	at := from
	for at < len(e.window) {
		length, distance := e.match(at)
		if length == 0 {
			w.literal(e.window[at])
			length = 1
		} else {
			w.match(length, distance)
		}
		for end := at + length; at < end; at++ {
			e.note(at)
		}
	}
	w.put(0, 7) // end of the block
	w.put(0, 3) // an empty stored block at the next byte
	w.align()
	if b = append(w.b, syncMarker[1:]...); len(b)-start <= len(content)+2*len(syncMarker) {
		return b
	}
	return AppendStored(b[:start], content)
}

// hash is where the table has the bytes at a position.
func (e *Encoder) hash(at int) uint32 {
	return binary.LittleEndian.Uint32(e.window[at:]) * 0x9e3779b1 >> (32 - tableBits)
}

// note enters a position into the table.
func (e *Encoder) note(at int) {
	if at+minMatch <= len(e.window) {
		e.table[e.hash(at)] = uint16(at + 1)
	}
}

// match finds earlier bytes that are the same as those at a position; length is 0 if
// there are none.
func (e *Encoder) match(at int) (length, distance int) {
	if at+minMatch > len(e.window) {
		return 0, 0
	}
	earlier := int(e.table[e.hash(at)]) - 1
	if earlier < 0 || at-earlier > maxDistance {
		return 0, 0
	}
	most := min(maxMatch, len(e.window)-at)
	for length < most && e.window[earlier+length] == e.window[at+length] {
		length++
	}
	if length < minMatch {
		return 0, 0
	}
	return length, at - earlier
}

// bitWriter appends bits, the lowest first.
type bitWriter struct {
	b    []byte
	bits uint64
	n    uint // how many; less than 32 between calls
}

func (w *bitWriter) put(value uint32, n uint) {
	w.bits |= uint64(value) << w.n
	if w.n += n; w.n >= 32 {
		w.b = binary.LittleEndian.AppendUint32(w.b, uint32(w.bits))
		w.bits >>= 32
		w.n -= 32
	}
}

// align appends zeros up to a byte boundary.
func (w *bitWriter) align() {
	for w.n > 0 {
		w.b = append(w.b, byte(w.bits))
		w.bits >>= 8
		w.n -= min(w.n, 8)
	}
}

// code appends a Huffman code, which begins with its highest bit.
func (w *bitWriter) code(code uint32, n uint) {
	w.put(bits.Reverse32(code)>>(32-n), n)
}

// literal appends a byte (RFC 1951 section 3.2.6).
func (w *bitWriter) literal(c byte) {
	if c < 144 {
		w.code(0x30+uint32(c), 8)
	} else {
		w.code(0x190+uint32(c)-144, 9)
	}
}

// match appends a reference (RFC 1951 section 3.2.5).
func (w *bitWriter) match(length, distance int) {
	symbol, extra, n := lengthCode(length)
	if symbol < 280 {
		w.code(symbol-256, 7)
	} else {
		w.code(0xc0+symbol-280, 8)
	}
	w.put(extra, n)
	symbol, extra, n = distanceCode(distance)
	w.code(symbol, 5)
	w.put(extra, n)
}

// lengthCode returns the symbol of a length, and its extra bits. From 8 on each power
// of two has four symbols.
func lengthCode(length int) (symbol, extra uint32, n uint) {
	v := uint32(length - 3)
	switch {
	case length == maxMatch:
		return 285, 0, 0
	case v < 8:
		return 257 + v, 0, 0
	}
	n = uint(bits.Len32(v)) - 3
	return 257 + uint32(n)*4 + v>>n, v & (1<<n - 1), n
}

// distanceCode returns the symbol of a distance, and its extra bits. From 4 on each
// power of two has two symbols.
func distanceCode(distance int) (symbol, extra uint32, n uint) {
	v := uint32(distance - 1)
	if v < 4 {
		return v, 0, 0
	}
	n = uint(bits.Len32(v)) - 2
	return uint32(n)*2 + v>>n, v & (1<<n - 1), n
}
