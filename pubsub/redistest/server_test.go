package redistest

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestServerAnswers(t *testing.T) {
	for _, test := range []struct {
		name    string
		options []Option
		network string
	}{
		{"unix socket", nil, "unix"},
		{"tcp", []Option{TCP}, "tcp"},
		{"password", []Option{Password("secret")}, "unix"},
		{"persist", []Option{Persist}, "unix"},
		{"args", []Option{Args("--databases", "1"), Args("--maxmemory", "8mb")}, "unix"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := Start(t, test.options...)
			if got := server.Network(); got != test.network {
				t.Errorf("network %q, want %q", got, test.network)
			}
			connection, err := net.Dial(server.Network(), server.Addr())
			if err != nil {
				t.Fatal(err)
			}
			connection.Close()
			if err := server.Client().Ping(t.Context()).Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDo(t *testing.T) {
	server := Start(t)
	for _, test := range []struct {
		args []any
		want any
	}{
		{[]any{"SET", "key", 7}, "OK"},
		{[]any{"GET", "key"}, "7"},
		{[]any{"INCR", "key"}, int64(8)},
		{[]any{"GET", "no such key"}, nil},
	} {
		if got := server.Do(test.args...); got != test.want {
			t.Errorf("%v: got %#v, want %#v", test.args, got, test.want)
		}
	}
}

func TestPassword(t *testing.T) {
	server := Start(t, Password("secret"))
	options := server.Options()
	options.Password = ""
	client := redis.NewClient(options)
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("without the password: %v, want NOAUTH", err)
	}
}

func TestRestart(t *testing.T) {
	down := map[string]func(*Server){
		"running": func(*Server) {},
		"stopped": (*Server).Stop,
		"killed":  (*Server).Kill,
		"frozen":  (*Server).Freeze,
		"frozen and killed": func(s *Server) {
			s.Freeze()
			s.Kill()
		},
		"killed twice": func(s *Server) {
			s.Kill()
			s.Kill()
		},
	}
	kept := map[string]struct {
		options []Option
		want    any
	}{
		"empty":      {nil, nil},
		"persistent": {[]Option{Persist}, "value"},
		"tcp":        {[]Option{TCP, Persist}, "value"},
	}
	for how, takeDown := range down {
		for what, data := range kept {
			t.Run(what+" "+how, func(t *testing.T) {
				t.Parallel()
				server := Start(t, data.options...)
				addr, pid := server.Addr(), server.process.pid()
				server.Do("SET", "key", "value")
				takeDown(server)
				server.Restart()
				if server.Addr() != addr {
					t.Errorf("address %q, was %q", server.Addr(), addr)
				}
				if server.process.pid() == pid {
					t.Error("still the first process")
				}
				if got := server.Do("GET", "key"); got != data.want {
					t.Errorf("got %v, want %v", got, data.want)
				}
			})
		}
	}
}

func TestDownIsDown(t *testing.T) {
	for how, takeDown := range map[string]func(*Server){"stop": (*Server).Stop, "kill": (*Server).Kill} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			server := Start(t)
			takeDown(server)
			if connection, err := net.Dial(server.Network(), server.Addr()); err == nil {
				connection.Close()
				t.Error("somebody still listens")
			}
		})
	}
}

func TestFreeze(t *testing.T) {
	server := Start(t)
	server.Freeze()
	connection, err := net.Dial(server.Network(), server.Addr())
	if err != nil {
		t.Fatalf("a frozen server's kernel takes connections: %v", err)
	}
	defer connection.Close()
	if _, err := connection.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	connection.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	answer := make([]byte, len("+PONG"))
	if n, err := connection.Read(answer); err == nil {
		t.Fatalf("a frozen server answered %q", answer[:n])
	}
	server.Thaw()
	server.Thaw()
	connection.SetReadDeadline(time.Now().Add(doTimeout))
	if n, err := connection.Read(answer); err != nil || string(answer[:n]) != "+PONG" {
		t.Errorf("thawed: %q, %v", answer[:n], err)
	}
}

// TestFrozenAtEnd leaves Thaw and everything else to cleanup; later cleanups,
// which run first, may talk to the server.
func TestFrozenAtEnd(t *testing.T) {
	var server *Server
	t.Run("frozen", func(t *testing.T) {
		server = Start(t)
		t.Cleanup(func() { server.Do("PING") })
		server.Freeze()
	})
	select {
	case <-server.process.done:
	default:
		t.Error("the server outlived its test")
	}
}

func TestKillPubSub(t *testing.T) {
	server := Start(t)
	if n := server.KillPubSub(); n != 0 {
		t.Errorf("killed %d without a subscriber", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), doTimeout)
	defer cancel()
	client := server.Client()
	for range 2 {
		subscription := client.Subscribe(ctx, "channel")
		defer subscription.Close()
		if _, err := subscription.Receive(ctx); err != nil { // the confirmation
			t.Fatal(err)
		}
	}
	if n := server.KillPubSub(); n != 2 {
		t.Errorf("killed %d, want 2", n)
	}
}
