// Package deflate writes gzip streams that share their compressed parts: many
// streams get the same bytes, and may join at any time.
//
// A gzip stream (RFC 1952) is a header, blocks (RFC 1951), and a trailer with the
// checksum and size of its content. Two properties make parts shareable:
//
//   - Every part that this package appends ends with an empty stored block, which ends
//     at a byte boundary and makes decoders deliver what they have. Parts can be
//     concatenated as bytes.
//   - A block refers to earlier content by its distance. A part that an Encoder says is
//     fresh refers to nothing before it, and those after it refer to nothing before it.
//     So all streams that have every part since then may share the next one, whatever
//     they had before. Any stream can have the same content as stored blocks instead.
//
// Checksums need no pass over shared content: see Sum.
package deflate

import (
	"encoding/binary"
	"hash/crc32"
)

// Header begins a gzip stream: deflate, no flags, no time, unknown system.
const Header = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// syncMarker is an empty stored block at a byte boundary.
const syncMarker = "\x00\x00\x00\xff\xff"

// maxStored is the most content of a stored block.
const maxStored = 1<<16 - 1

// AppendStored appends content as stored blocks: 5 bytes more for each 65,535, and 5 at
// the end. (Go's decoder delivers the content of a stored block only with the empty one
// after it.)
func AppendStored(b, content []byte) []byte {
	for len(content) > 0 {
		n := min(len(content), maxStored)
		b = appendStoredHeader(b, n, false)
		b = append(b, content[:n]...)
		content = content[n:]
	}
	return append(b, syncMarker...)
}

// AppendEnd appends the end of a gzip stream: its last content as stored blocks, and the
// trailer. crc and size are those of all content, the last included.
func AppendEnd(b, content []byte, crc, size uint32) []byte {
	for len(content) > maxStored {
		b = appendStoredHeader(b, maxStored, false)
		b = append(b, content[:maxStored]...)
		content = content[maxStored:]
	}
	b = appendStoredHeader(b, len(content), true)
	b = append(b, content...)
	b = binary.LittleEndian.AppendUint32(b, crc)
	return binary.LittleEndian.AppendUint32(b, size)
}

// appendStoredHeader appends the header of a stored block of n bytes.
func appendStoredHeader(b []byte, n int, final bool) []byte {
	kind := byte(0)
	if final {
		kind = 1
	}
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	return binary.LittleEndian.AppendUint16(b, ^uint16(n))
}

// Whole is the content of a stream that one goroutine writes: its checksum and size.
type Whole struct{ CRC, Size uint32 }

// Add adds content.
func (w *Whole) Add(content []byte) {
	w.CRC = crc32.Update(w.CRC, crc32.IEEETable, content)
	w.Size += uint32(len(content))
}
