package deflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// ticks are messages as a stream has them.
func ticks(r *rand.Rand, n int) (all [][]byte) {
	for i := range n {
		id := fmt.Sprintf("%d-%d", 1792345678901+int64(i)*200+r.Int64N(9), 1048577+i)
		all = append(all, fmt.Appendf(nil,
			"id: %s\ndata: {\"id\":%q,\"channel\":\"ticks/eurusd\",\"type\":\"message\",\"data\":{\"symbol\":\"EURUSD\",\"bid\":%.5f,\"ask\":%.5f,\"volume\":%d},\"time\":\"2026-12-01T02:00:%02d.%03dZ\"}\n\n",
			id, id, 1.08+r.Float64()/1000, 1.09+r.Float64()/1000, r.IntN(100000), i/5%60, r.IntN(1000)))
	}
	return all
}

// contents are of many kinds and sizes.
func contents(r *rand.Rand) [][]byte {
	all := ticks(r, 40)
	for _, n := range []int{0, 1, 3, 4, 5, 258, 259, 4096, 40_000, WindowBytes - 1, WindowBytes, WindowBytes + 1, 3 * WindowBytes} {
		noise := make([]byte, n)
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		all = append(all, noise, bytes.Repeat([]byte{byte(n)}, n), []byte(strings.Repeat("abcdefghij\xff", n/11)))
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// inflate decodes a whole gzip stream and checks its trailer.
func inflate(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(got), err)
	}
	return got
}

// Every length and distance is encoded as RFC 1951 says.
func TestCodes(t *testing.T) {
	t.Parallel()
	for _, distance := range []int{1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 255, 256, 257, 4097, 24577, 32768} {
		before := make([]byte, distance)
		r := rand.New(rand.NewPCG(1, uint64(distance)))
		for i := range before {
			before[i] = byte(r.Uint32())
		}
		for length := minMatch; length <= maxMatch; length++ {
			w := bitWriter{b: AppendStored(nil, before)}
			w.put(0b011, 3)
			w.match(length, distance)
			w.put(0, 7)
			w.align()
			got, err := io.ReadAll(flate.NewReader(bytes.NewReader(w.b)))
			if err != nil || len(got) != distance+length {
				t.Fatalf("length %d, distance %d: %d bytes, %v", length, distance, len(got), err)
			}
			for i := distance; i < len(got); i++ {
				if got[i] != got[i-distance] {
					t.Fatalf("length %d, distance %d: wrong bytes", length, distance)
				}
			}
		}
	}
}

// Each part of an encoder is delivered as soon as a decoder has it, and only fresh parts
// refer to nothing before them.
func TestEncoder(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	e := NewEncoder(time.Time{})
	defer e.Free()
	var want, encoded []byte
	freshParts := 0
	for i, content := range contents(r) {
		part, fresh := e.Append(nil, content, time.Time{})
		if len(part) > len(content)+2*len(syncMarker)+5*(len(content)/WindowBytes*2) {
			t.Errorf("%d bytes became %d", len(content), len(part))
		}
		if fresh {
			freshParts++
			if got, err := io.ReadAll(flate.NewReader(bytes.NewReader(part))); err != io.ErrUnexpectedEOF || !bytes.Equal(got, content) {
				t.Fatalf("a fresh part alone: %d bytes of %d, %v", len(got), len(content), err)
			}
		}
		want, encoded = append(want, content...), append(encoded, part...)
		if i%10 > 0 && len(content) != WindowBytes {
			continue
		}
		if got, err := io.ReadAll(flate.NewReader(bytes.NewReader(encoded))); err != io.ErrUnexpectedEOF || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes of %d, %v", len(got), len(want), err)
		}
	}
	if freshParts < 5 {
		t.Errorf("%d fresh parts", freshParts)
	}
}

// Ticks take about a quarter of their size.
func TestRatio(t *testing.T) {
	t.Parallel()
	e := NewEncoder(time.Time{})
	defer e.Free()
	plain, compressed := 0, 0
	for _, tick := range ticks(rand.New(rand.NewPCG(1, 2)), 500) {
		part, _ := e.Append(nil, tick, time.Time{})
		plain += len(tick)
		compressed += len(part)
	}
	ratio := float64(compressed) / float64(plain)
	t.Logf("%d bytes became %d: %.3f", plain, compressed, ratio)
	if ratio > 0.30 {
		t.Errorf("ticks take %.3f of their size", ratio)
	}
}

// A primed encoder refers to what was sent before, which takes less.
func TestPrime(t *testing.T) {
	t.Parallel()
	all := ticks(rand.New(rand.NewPCG(5, 6)), 3)
	b, want := AppendStored([]byte(Header), all[0]), bytes.Clone(all[0])
	for i, content := range all[1:] {
		e := NewEncoder(time.Time{})
		e.Prime(all[i])
		part, fresh := e.Append(nil, content, time.Time{})
		if e.Free(); fresh || len(part) > len(content)/2 {
			t.Errorf("%d bytes became %d; fresh: %v", len(content), len(part), fresh)
		}
		b, want = append(b, part...), append(want, content...)
	}
	if got := inflate(t, AppendEnd(b, nil, crc32.ChecksumIEEE(want), uint32(len(want)))); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A Sum is the CRC and size of what a stream has got, however much is shared.
func TestSum(t *testing.T) {
	t.Parallel()
	if got := multiply(shift(1<<31, order-1), 1<<(31-8)); got != 1<<31 || shift(12345, order) != 12345 {
		t.Fatalf("the order of x is not %d", order)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		shared := Position{Bytes: r.Uint64() >> r.IntN(60), CRC: r.Uint32()}
		var own Whole
		own.Add([]byte("its own head"))
		sum := SumAt(shared, own)
		for i := range 10 {
			content := bytes.Repeat([]byte{byte(i), 7}, r.IntN(300))
			own.Add(content)
			if r.IntN(4) > 0 {
				shared.Add(content)
			} else {
				sum = SumAt(shared, own)
			}
			if got := sum.At(shared); got != own {
				t.Fatalf("%+v, want %+v", got, own)
			}
		}
	}
	if crc32.ChecksumIEEE(nil) != 0 {
		t.Error("the CRC of nothing is not 0")
	}
}

// model is a shared stream and some streams that join it, get content of their own, and
// end. It is what package conn does, without connections.
type model struct {
	t       *testing.T
	encoder *Encoder
	now     time.Time
	at      Position
	streams []*modelStream
}

type modelStream struct {
	got, want []byte
	shares    bool
	sum       Sum
}

func (m *model) join(head []byte) {
	var w Whole
	w.Add(head)
	s := &modelStream{got: AppendStored([]byte(Header), head), sum: SumAt(m.at, w)}
	s.want = append(s.want, head...)
	m.streams = append(m.streams, s)
}

func (m *model) publish(content []byte) {
	part, fresh := m.encoder.Append(nil, content, m.now)
	m.at.Add(content)
	for _, s := range m.streams {
		s.want = append(s.want, content...)
		if s.shares = s.shares || fresh; s.shares {
			s.got = append(s.got, part...)
		} else {
			s.got = AppendStored(s.got, content)
		}
	}
}

func (m *model) insert(s *modelStream, content []byte) {
	w := s.sum.At(m.at)
	w.Add(content)
	s.got, s.want, s.sum, s.shares = AppendStored(s.got, content), append(s.want, content...), SumAt(m.at, w), false
}

func (m *model) end(i int, last []byte) {
	s := m.streams[i]
	w := s.sum.At(m.at)
	w.Add(last)
	b := AppendEnd(s.got, last, w.CRC, w.Size)
	if got, want := inflate(m.t, b), append(s.want, last...); !bytes.Equal(got, want) {
		m.t.Fatalf("got %d bytes, want %d", len(got), len(want))
	}
	m.streams[i] = m.streams[len(m.streams)-1]
	m.streams = m.streams[:len(m.streams)-1]
}

// FuzzSplice: whatever streams get and when, each decodes to the content that it was to
// get, and its trailer is right. Each byte of the script is a step.
func FuzzSplice(f *testing.F) {
	f.Add([]byte("jppjphppejpprppe"), uint64(1))
	f.Add([]byte("jjhPpjrpjPPePpjh"), uint64(2))
	f.Add(bytes.Repeat([]byte("jpphpjPre"), 20), uint64(3))
	f.Fuzz(func(t *testing.T, script []byte, seed uint64) {
		script = script[:min(len(script), 400)]
		r := rand.New(rand.NewPCG(seed, 1))
		messages, large := ticks(r, 50), contents(r)
		m := &model{t: t, encoder: NewEncoder(time.Time{}), at: Position{Bytes: seed, CRC: uint32(seed)}}
		defer m.encoder.Free()
		largeLeft := 5
		for _, step := range script {
			switch step {
			case 'j':
				m.join(messages[r.IntN(len(messages))])
			case 'r':
				m.encoder.Reset(m.now)
			case 'P':
				if largeLeft--; largeLeft >= 0 {
					m.publish(large[r.IntN(len(large))])
				}
			case 'h', 'e':
				if len(m.streams) == 0 {
					continue
				}
				i := r.IntN(len(m.streams))
				if step == 'h' {
					m.insert(m.streams[i], []byte(":\n\n"))
				} else {
					m.end(i, []byte("event: comet.bye\ndata: {}\n\n"))
				}
			default:
				m.publish(messages[r.IntN(len(messages))])
			}
		}
		for len(m.streams) > 0 {
			m.end(0, nil)
		}
	})
}

func BenchmarkEncoder(b *testing.B) {
	all := ticks(rand.New(rand.NewPCG(1, 2)), 150)
	e := NewEncoder(time.Time{})
	defer e.Free()
	var out []byte
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if i++; i == len(all) {
			i = 0
			e.Reset(time.Time{})
		}
		out, _ = e.Append(out[:0], all[i], time.Time{})
	}
	b.SetBytes(int64(len(all[0])))
}

func BenchmarkSum(b *testing.B) {
	p := Position{Bytes: 123456789, CRC: 42}
	s := SumAt(p, Whole{1, 2})
	for b.Loop() {
		s = SumAt(p, s.At(p))
	}
}
