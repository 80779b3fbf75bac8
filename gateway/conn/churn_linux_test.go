package conn

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"comet/gateway/wire"
)

const (
	churnGoers      = 64
	churnVisits     = 16 // of each
	churnPublishers = 2  // a channel
	churnPace       = 4 * time.Millisecond
)

var (
	churnKinds    = []string{"SSE", "SSERaw", "NDJSON", "poll"}
	churnChannels = [][]string{{"a"}, {"b"}, {"a", "b"}, {"a", "b", "c"}}
)

// While subscribers of every kind come and go at random, each in one of several
// ways, and publishers run, those that stay get everything once and in order.
// Those that go miss nothing while they are there, and leave nothing to clean up.
func TestChurn(t *testing.T) {
	s := serve(t, 640*time.Millisecond, listenFreely)
	var staying, going, publishing sync.WaitGroup
	for _, kind := range churnKinds {
		for _, channels := range churnChannels {
			f, err := s.read(kind, channels)
			if err != nil {
				t.Fatal(err)
			}
			staying.Go(func() {
				if err := f.stay(); err != nil {
					t.Errorf("%s of %v that stays: %v", kind, channels, err)
				}
			})
		}
	}
	for range churnGoers {
		going.Go(func() {
			for range churnVisits {
				kind, channels := churnKinds[rand.N(len(churnKinds))], churnChannels[rand.N(len(churnChannels))]
				if err := s.connect(kind, channels); err != nil {
					t.Errorf("%s of %v that goes: %v", kind, channels, err)
				}
			}
		})
	}
	stop := make(chan struct{})
	for _, channel := range []string{"a", "b", "c"} {
		for n := range churnPublishers {
			publishing.Go(func() { s.publishUntil(stop, channel, n) })
		}
	}
	going.Wait()
	close(stop)
	publishing.Wait()
	staying.Wait()
	eventually(t, "all have gone", func() bool { return s.listener.Open() == 0 && s.feeds() == 0 && s.held.Load() == 0 })
}

// publishUntil publishes numbers, and says at the end that it was the end.
func (s *server) publishUntil(stop <-chan struct{}, channel string, publisher int) {
	pace := time.NewTicker(churnPace)
	defer pace.Stop()
	for i := 0; ; i++ {
		s.publish(channel, fmt.Sprintf("%s/%d %d", channel, publisher, i))
		select {
		case <-pace.C:
		case <-stop:
			s.publish(channel, fmt.Sprintf("%s/%d end", channel, publisher))
			return
		}
	}
}

// reader is a subscriber with the messages that it has read.
type reader struct {
	*net.TCPConn
	more  func() (data []string, err error) // waits for the next messages
	next  map[string]int                    // the number to come, by channel and publisher
	ended int                               // publishers
	want  int                               // publishers
}

// read begins to read the messages after it is called.
func (s *server) read(kind string, channels []string) (*reader, error) {
	c, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	f := &reader{TCPConn: c.(*net.TCPConn), next: make(map[string]int), want: churnPublishers * len(channels)}
	query := "?channel=" + strings.Join(channels, "&channel=")
	if kind == "poll" {
		err = f.beginPolls("/poll" + query)
	} else {
		err = f.beginStream("/events"+query+"&format="+kind, formats[kind])
	}
	if err != nil {
		c.Close()
	}
	return f, err
}

func (f *reader) get(target string) error {
	_, err := fmt.Fprintf(f, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target)
	return err
}

func (f *reader) beginStream(target string, format wire.Format) error {
	if err := f.get(target); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(f), nil)
	if err != nil {
		return err
	}
	events := wire.NewReader(res.Body, format)
	f.more = func() ([]string, error) {
		e, err := events.Next()
		if err != nil || e.Kind != wire.KindMessage {
			return nil, fmt.Errorf("event %+v: %v", e, err)
		}
		return []string{string(e.Message.Data)}, nil
	}
	_, err = events.Next() // ready
	return err
}

// beginPolls polls, and always has the next poll under way.
func (f *reader) beginPolls(target string) error {
	reader := bufio.NewReader(f)
	f.more = func() (data []string, err error) {
		res, err := http.ReadResponse(reader, nil)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		a, err := wire.ParsePoll(body)
		if err != nil || len(a.Gaps) > 0 {
			return nil, fmt.Errorf("answer %s: %v", body, err)
		}
		for _, m := range a.Messages {
			data = append(data, string(m.Data))
		}
		wait := []string{"20s", "30ms"}[rand.N(2)]
		return data, f.get(target + "&wait=" + wait + "&cursor=" + a.Cursor)
	}
	if err := f.get(target + "&wait=0"); err != nil {
		return err
	}
	_, err := f.more()
	return err
}

// take waits for the next messages, which must follow the last ones. begin, if it is not
// negative, is the first number of each publisher.
func (f *reader) take(begin int) error {
	_ = f.SetDeadline(time.Now().Add(patience))
	all, err := f.more()
	if err != nil {
		return err
	}
	for _, data := range all {
		from, text, _ := strings.Cut(strings.Trim(data, `"`), " ")
		if text == "end" {
			f.ended++
			continue
		}
		n, err := strconv.Atoi(text)
		want, known := f.next[from]
		if !known {
			want = begin
		}
		if err != nil || n != want && want >= 0 {
			return fmt.Errorf("got %s, want %d", data, want)
		}
		f.next[from] = n + 1
	}
	return nil
}

// stay takes everything.
func (f *reader) stay() error {
	defer f.Close()
	for f.ended < f.want {
		if err := f.take(0); err != nil {
			return err
		}
	}
	return nil
}

// connect follows for a moment and leaves in some way.
func (s *server) connect(kind string, channels []string) error {
	f, err := s.read(kind, channels)
	if err != nil {
		return err
	}
	defer f.Close()
	for range rand.N(4) {
		if err := f.take(-1); err != nil {
			return err
		}
	}
	switch rand.N(3) {
	case 0:
		_ = f.CloseWrite()
	case 1:
		_ = f.SetLinger(0)
	}
	return nil
}
