package conn

import (
	"slices"
	"sort"
	"time"

	"comet/gateway/deflate"
)

// gzipAge is how long parts refer to the ones before them. A stream that joins, or has
// got a heartbeat, gets stored parts as long at most.
const gzipAge = 5 * time.Second

// sharedGzip is what a compressed feed has in addition. Items that come together become
// a part, which the feed has twice, each time as one HTTP chunk: compressed, in feed.buf,
// and as stored blocks. A stream gets stored parts until one is fresh, which refers to
// nothing before it, and then the compressed ones. A stream that gets something else in
// between, a heartbeat, has other content than the next parts may refer to, and gets
// stored parts again. See package deflate.
//
// A stream's position is an offset in feed.buf or in stored.
type sharedGzip struct {
	encoder  *deflate.Encoder // nil: the next part is fresh
	pending  *[]byte          // content of the next part; nil: none
	messages int              // in pending
	last     deflate.Position // after the newest part

	stored     []byte // only appended to, as feed.buf
	storedBase uint64 // the offset of stored[0]
	parts      []part // that feed.buf and stored have; only appended to
}

// part is what the streams of a compressed feed get together.
type part struct {
	shared, stored uint64           // where it begins in feed.buf and in stored
	at             deflate.Position // before it
	messages       int32
	fresh          bool // it refers to nothing before it
}

// add adds content to the next part.
func (g *sharedGzip) add(content []byte) {
	if len(content) == 0 {
		return
	}
	if g.pending == nil {
		g.pending = encodeBuffers.Get().(*[]byte)
		*g.pending = (*g.pending)[:0]
	}
	*g.pending = append(*g.pending, content...)
}

// compress makes a part of what was added.
func (g *sharedGzip) compress(f *feed) {
	if g.pending == nil {
		return
	}
	content, now := *g.pending, time.Now()
	switch {
	case g.encoder == nil:
		g.encoder = deflate.NewEncoder(now)
	case g.encoder.Age(now) >= gzipAge:
		g.encoder.Reset(now)
	}
	next := part{shared: f.end(), stored: g.storedEnd(), at: g.last, messages: int32(g.messages)}
	b := encodeBuffers.Get().(*[]byte)
	*b, next.fresh = g.encoder.Append((*b)[:0], content, now)
	f.buf = appendChunk(f.buf, *b)
	*b = deflate.AppendStored((*b)[:0], content)
	g.stored = appendChunk(g.stored, *b)
	g.parts = append(g.parts, next)
	g.last.Add(content)
	keepEncodeBuffer(b)
	keepEncodeBuffer(g.pending)
	g.pending, g.messages = nil, 0
}

func (g *sharedGzip) storedEnd() uint64 { return g.storedBase + uint64(len(g.stored)) }

// trim is feed.trim for a compressed feed.
func (g *sharedGzip) trim(f *feed) {
	if len(g.stored) <= 2*feedBytes {
		return
	}
	needed := f.end() // by writers
	for _, s := range f.shards {
		if s != nil && s.streams > 0 && len(g.stored) <= lateBytes {
			needed = min(needed, s.flushed)
		}
	}
	gone := 0
	for gone+1 < len(g.parts) && g.storedEnd()-g.parts[gone+1].stored >= feedBytes && g.parts[gone+1].shared <= needed {
		gone++
	}
	if gone == 0 {
		return
	}
	first := g.parts[gone]
	g.parts = slices.Clone(g.parts[gone:])
	f.buf = append([]byte(nil), f.buf[first.shared-f.base:]...)
	g.stored = append([]byte(nil), g.stored[first.stored-g.storedBase:]...)
	f.base, g.storedBase = first.shared, first.stored
}

// drop forgets all parts.
func (g *sharedGzip) drop() {
	g.storedBase = g.storedEnd()
	g.stored, g.parts = nil, nil
}

// releaseEncoder frees the encoder if the next part will be fresh anyway. The streams of
// a silent feed call it now and then.
func (f *feed) releaseEncoder(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if g := f.gzip(); g.encoder != nil && g.encoder.Age(now) >= gzipAge {
		g.encoder.Free()
		g.encoder = nil
	}
}

// end frees what the feed, which has no streams, has borrowed.
func (g *sharedGzip) end(f *feed) { f.releaseEncoder(time.Now().Add(gzipAge)) }

// partAt returns the part that begins at p's position; n is len(g.parts) at the end. ok is
// false if p is elsewhere: inside a part, or where the feed has nothing any more.
func (g *sharedGzip) partAt(f *feed, p *parked) (n int, ok bool) {
	end := g.storedEnd()
	if p.sharesGzip {
		end = f.end()
	}
	next := p.single[0].next
	if next == end {
		return len(g.parts), true
	}
	n = sort.Search(len(g.parts), func(i int) bool { return g.parts[i].begin(p.sharesGzip) >= next })
	return n, n < len(g.parts) && g.parts[n].begin(p.sharesGzip) == next
}

// begin is where the part begins, in feed.buf or in stored.
func (a *part) begin(shared bool) uint64 {
	if shared {
		return a.shared
	}
	return a.stored
}

// position returns where part n, or the end, is in the content.
func (g *sharedGzip) position(n int) deflate.Position {
	if n < len(g.parts) {
		return g.parts[n].at
	}
	return g.last
}

// beginGzip makes p, which has just joined its feed, a stream that has got the content w.
func (s *shard) beginGzip(p *parked, w deflate.Whole) {
	p.sharesGzip = true // as join has returned an offset in feed.buf
	s.insert(p, func(all *deflate.Whole) { *all = w })
}

// beginBody returns the beginning of the body of p, which has just joined its feed, with
// its first content.
func (p *parked) beginBody(content []byte) []byte {
	var w deflate.Whole
	w.Add(content)
	p.single[0].shard.beginGzip(p, w)
	b := deflate.AppendStored([]byte(deflate.Header), content)
	p.writer.counters.addGzip(len(content), len(b))
	return b
}

// insert notes that p, which is between two parts, got content of its own, which add adds.
func (s *shard) insert(p *parked, add func(*deflate.Whole)) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.gzip()
	n, ok := g.partAt(f, p)
	if !ok {
		return // the writer was so late that the feed has dropped the position: p is closed as slow
	}
	at := g.position(n)
	w := p.sum.At(at)
	add(&w)
	p.sum = deflate.SumAt(at, w)
	if p.sharesGzip {
		p.sharesGzip = false
		p.single[0].next = g.storedEnd()
		if n < len(g.parts) {
			p.single[0].next = g.parts[n].stored
		}
	}
}

// appendEnd appends the end of p's gzip stream, with its last content. If the feed has p's
// position no more, its checksum is unknown: the content comes without a trailer.
func (s *shard) appendEnd(b []byte, p *parked, content []byte) []byte {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.gzip()
	n, ok := g.partAt(f, p)
	if !ok {
		return deflate.AppendStored(b, content)
	}
	w := p.sum.At(g.position(n))
	w.Add(content)
	return deflate.AppendEnd(b, content, w.CRC, w.Size)
}

// sendGzip is flusher.send for a stream with gzip.
func (f *flusher) sendGzip(p *parked, v *feedView) {
	at := &p.single[0]
	for {
		data, ok := v.nextGzip(p)
		if !ok {
			f.closer.closeStream(p, Slow)
			return
		}
		n, ok := f.write(p, data)
		if !ok || n == 0 {
			return
		}
		from := at.next
		at.next += uint64(n)
		v.countParts(p.sharesGzip, from, at.next)
		v.written += n
		if n < len(data) {
			return
		}
	}
}

// nextGzip returns the next bytes for p. A stream that gets stored parts gets those up to
// the next fresh part, and from there on shared ones. ok is false if the feed has dropped
// p's position.
func (v *feedView) nextGzip(p *parked) (data []byte, ok bool) {
	at := &p.single[0]
	if p.sharesGzip {
		if at.next < v.base {
			return nil, false
		}
		return v.data[at.next-v.base:], true
	}
	if at.next < v.storedBase {
		return nil, false
	}
	data = v.stored[at.next-v.storedBase:]
	first := sort.Search(len(v.parts), func(i int) bool { return v.parts[i].stored >= at.next })
	for i := range v.parts[first:] {
		switch a := &v.parts[first+i]; {
		case !a.fresh:
		case a.stored == at.next:
			at.next, p.sharesGzip = a.shared, true
			return v.data[at.next-v.base:], true
		default:
			return data[:a.stored-at.next], true
		}
	}
	return data, true
}

// countParts counts the parts that end after from, and not after to, as written to one
// more stream.
func (v *feedView) countParts(shared bool, from, to uint64) {
	if !shared { // few streams, and offsets of another kind
		m, c := v.partsBetween(false, from, to)
		v.messages += m
		v.content += c
		return
	}
	if from != v.from || to != v.to {
		v.between, v.betweenContent = v.partsBetween(true, from, to)
		v.from, v.to = from, to
	}
	v.messages += v.between
	v.content += v.betweenContent
}

func (v *feedView) partsBetween(shared bool, from, to uint64) (messages, content int) {
	first := sort.Search(len(v.parts), func(i int) bool { return v.parts[i].begin(shared) >= from })
	for i := max(0, first-1); i < len(v.parts); i++ {
		end, after := v.partsEnd(shared), v.after
		if i+1 < len(v.parts) {
			end, after = v.parts[i+1].begin(shared), v.parts[i+1].at.Bytes
		}
		if end > to {
			break
		}
		if end > from {
			messages += int(v.parts[i].messages)
			content += int(after - v.parts[i].at.Bytes)
		}
	}
	return messages, content
}

func (v *feedView) partsEnd(shared bool) uint64 {
	if shared {
		return v.end()
	}
	return v.storedBase + uint64(len(v.stored))
}
