package limit

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// proxies are trusted in these tests; 10.0.0.1 is the one that connects.
var (
	proxies   = Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:aaaa::/48")}}
	forwarded = Proxies{Trusted: proxies.Trusted, Forwarded: true}
)

const (
	proxy  = "10.0.0.1"
	client = "203.0.113.9"
)

// from is a request of a connection from remote.
func from(remote string, forwarded, xForwardedFor []string) *http.Request {
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	if forwarded != nil {
		r.Header["Forwarded"] = forwarded
	}
	if xForwardedFor != nil {
		r.Header["X-Forwarded-For"] = xForwardedFor
	}
	return r
}

func TestAddressOfConnection(t *testing.T) {
	for remote, want := range map[string]string{
		"203.0.113.9:1234":                    client,
		"[::ffff:203.0.113.9]:1234":           client,
		"[2001:db8:1:2:3:4:5:6]:1234":         "2001:db8:1:2::",
		"[2001:db8:1:2:ffff::]:1234":          "2001:db8:1:2::",
		"[fe80::1:2%eth0]:1234":               "fe80::",
		"10.0.0.1:1234":                       proxy,
		"[2001:db8:aaaa:1:2:3:4:5]:1234":      "2001:db8:aaaa:1::",
		"[2001:db8:aaaa:ffff:2:3:4:5%x]:1234": "2001:db8:aaaa:ffff::",
	} {
		if got := Address(from(remote, nil, nil), proxies); got != netip.MustParseAddr(want) {
			t.Errorf("%s: got %v, want %s", remote, got, want)
		}
	}
	for _, remote := range []string{"", "@", "/run/comet.sock", "203.0.113.9", "example.com:80"} {
		if got := Address(from(remote, nil, []string{client}), proxies); got.IsValid() {
			t.Errorf("%q: got %v, want none", remote, got)
		}
	}
}

// TestAddressNotTrusted: what others than trusted proxies say is nothing.
func TestAddressNotTrusted(t *testing.T) {
	r := from(client+":1", []string{"for=198.51.100.1"}, []string{"198.51.100.1"})
	for _, by := range []Proxies{proxies, forwarded, {}, {Forwarded: true}} {
		if got := Address(r, by); got != netip.MustParseAddr(client) {
			t.Errorf("with %v: got %v", by, got)
		}
	}
}

// lines has what a proxy sends, and the client that it names.
type lines struct {
	name  string
	lines []string
	want  string
}

var xForwardedFors = []lines{
	{"client", []string{"203.0.113.9"}, client},
	{"port", []string{"203.0.113.9:1234"}, client},
	{"rightmost that is not trusted", []string{"198.51.100.1, 203.0.113.9"}, client},
	{"behind several proxies", []string{"198.51.100.1,203.0.113.9 ,10.0.0.3,\t10.0.0.2"}, client},
	{"several lines", []string{"198.51.100.1", "203.0.113.9", "10.0.0.2"}, client},
	{"empty elements", []string{", 203.0.113.9, ,", ""}, client},
	{"all trusted", []string{"10.0.0.9, 10.0.0.2"}, "10.0.0.9"},
	{"garbage at the left", []string{"<script>, 203.0.113.9"}, client},
	{"IPv6", []string{"2001:db8:1:2:3::4"}, "2001:db8:1:2::"},
	{"IPv6 in brackets", []string{"[2001:db8:1:2:3::4]"}, "2001:db8:1:2::"},
	{"IPv6 with a port", []string{"[2001:db8:1:2:3::4]:443"}, "2001:db8:1:2::"},
	{"IPv6 proxy", []string{"203.0.113.9, 2001:db8:aaaa::7"}, client},
	{"IPv4 in IPv6", []string{"::ffff:203.0.113.9, ::ffff:10.0.0.2"}, client},
	{"empty", []string{""}, proxy},
	{"garbage", []string{"203.0.113.9, x"}, proxy},
	{"garbage behind a proxy", []string{"203.0.113.9, x, 10.0.0.2"}, proxy},
	{"unknown", []string{"unknown"}, proxy},
	{"name", []string{"localhost"}, proxy},
	{"zone", []string{"fe80::1%eth0"}, proxy},
	{"zone in brackets", []string{"[fe80::1%eth0]:1"}, proxy},
	{"IPv4 in brackets", []string{"[203.0.113.9]"}, proxy},
	{"leading zero", []string{"203.0.113.09"}, proxy},
	{"port too large", []string{"203.0.113.9:65536"}, proxy},
	{"quotes", []string{`"203.0.113.9"`}, proxy},
}

var forwardeds = []lines{
	{"client", []string{"for=203.0.113.9"}, client},
	{"more parameters", []string{"by=10.0.0.1;For=203.0.113.9;proto=https;host=example.com"}, client},
	{"quoted", []string{`for="203.0.113.9:1234"`}, client},
	{"escaped", []string{`for="203.0.113\.9"`}, client},
	{"rightmost that is not trusted", []string{"for=198.51.100.1, for=203.0.113.9"}, client},
	{"behind several proxies", []string{"for=198.51.100.1,for=203.0.113.9 , for=10.0.0.3;by=_a,\tFOR=10.0.0.2"}, client},
	{"several lines", []string{"for=198.51.100.1", "for=203.0.113.9", "for=10.0.0.2"}, client},
	{"empty elements", []string{", for=203.0.113.9;, ,;", ""}, client},
	{"all trusted", []string{"for=10.0.0.9, for=10.0.0.2"}, "10.0.0.9"},
	{"unknown at the left", []string{"for=unknown, for=203.0.113.9"}, client},
	{"a line that is broken before", []string{`for="`, "for=203.0.113.9"}, client},
	{"IPv6", []string{`for="[2001:db8:1:2:3::4]"`}, "2001:db8:1:2::"},
	{"IPv6 with a port", []string{`for="[2001:db8:1:2:3::4]:443"`}, "2001:db8:1:2::"},
	{"a comma in quotes", []string{`for=203.0.113.9;host="a,for=198.51.100.1"`}, client},
	{"empty", []string{""}, proxy},
	{"unknown", []string{"for=unknown"}, proxy},
	{"secret", []string{"for=_hidden"}, proxy},
	{"secret port", []string{`for="203.0.113.9:_x"`}, proxy},
	{"no for", []string{"for=203.0.113.9, proto=https"}, proxy},
	{"two", []string{"for=203.0.113.9;for=198.51.100.1"}, proxy},
	{"no value", []string{"for="}, proxy},
	{"no name", []string{"=203.0.113.9"}, proxy},
	{"bare", []string{"203.0.113.9"}, proxy},
	{"IPv6 without quotes", []string{"for=[2001:db8:1:2:3::4]"}, proxy},
	{"open quote", []string{`for="203.0.113.9`}, proxy},
	{"open escape", []string{`for="203.0.113.9\`}, proxy},
	{"a quote that swallows the next proxy's", []string{`for=198.51.100.1;x=", for=203.0.113.9`}, proxy},
	{"the same, closed by it", []string{`for=198.51.100.1;x=", for="203.0.113.9"`}, proxy},
}

func TestAddressXForwardedFor(t *testing.T) {
	for _, tt := range xForwardedFors {
		if got := Address(from(proxy+":1", nil, tt.lines), proxies); got != netip.MustParseAddr(tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAddressForwarded(t *testing.T) {
	for _, tt := range forwardeds {
		if got := Address(from(proxy+":1", tt.lines, nil), forwarded); got != netip.MustParseAddr(tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, got, tt.want)
		}
	}
}

// A client can forge the header that the proxies do not write, so it is ignored.
func TestAddressOtherHeader(t *testing.T) {
	for _, other := range []string{"198.51.100.1", "for=198.51.100.1", `for="[2001:db8:1:2::1]"`, "for", "x", ""} {
		for name, r := range map[string]*http.Request{
			"X-Forwarded-For": from(proxy+":1", []string{other}, []string{client}),
			"Forwarded":       from(proxy+":1", []string{"for=" + client}, []string{other}),
		} {
			if got := Address(r, Proxies{proxies.Trusted, name == "Forwarded"}); got != netip.MustParseAddr(client) {
				t.Errorf("%s beside %q: got %v", name, other, got)
			}
		}
		if got := Address(from(proxy+":1", []string{other}, nil), proxies); got != netip.MustParseAddr(proxy) {
			t.Errorf("%q alone: got %v", other, got)
		}
	}
}

// FuzzAddress has a client that sends any header, and a proxy that appends the
// client's address. The client must not count as another one.
func FuzzAddress(f *testing.F) {
	for _, list := range [][]lines{xForwardedFors, forwardeds} {
		for _, tt := range list {
			f.Add(strings.Join(tt.lines, ", "), "")
			f.Add("", strings.Join(tt.lines, ", "))
		}
	}
	f.Fuzz(func(t *testing.T, sent, other string) {
		want, fallback := netip.MustParseAddr(client), netip.MustParseAddr(proxy)
		byList := func(lines ...string) netip.Addr { return Address(from(proxy+":1", []string{other}, lines), proxies) }
		byForwarded := func(lines ...string) netip.Addr { return Address(from(proxy+":1", lines, []string{other}), forwarded) }
		for name, got := range map[string]netip.Addr{
			"X-Forwarded-For, same line":  byList(sent + ", " + client),
			"X-Forwarded-For, line added": byList(sent, client),
			"Forwarded, line added":       byForwarded(sent, "for="+client),
		} {
			if got != want {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
		for name, got := range map[string]netip.Addr{
			"Forwarded, same line":         byForwarded(sent + ", for=" + client),
			"Forwarded, same line, quoted": byForwarded(sent + `, for="` + client + `:1";by="x"`),
		} {
			if got != want && got != fallback {
				t.Errorf("%s: got %v", name, got)
			}
		}
		for _, got := range []netip.Addr{byList(sent), byForwarded(sent)} {
			if !got.IsValid() || got.Is4In6() || got.Zone() != "" || got != network(got) {
				t.Errorf("got %v, which is no address that a client counts as", got)
			}
		}
	})
}

// FuzzForwarded writes nodes as a proxy must, and wants them back.
func FuzzForwarded(f *testing.F) {
	f.Add("203.0.113.9", `a"b\c`, ",;=")
	f.Add("", "for", " ")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
		var line []string
		for _, node := range []string{a, b, c} {
			line = append(line, `by=_x;for="`+quote.Replace(node)+`"`)
		}
		nodes, ok := forwardedNodes(strings.Join(line, ", "))
		if want := []string{a, b, c}; !ok || !slices.Equal(nodes, want) {
			t.Errorf("%q: got %q, %v", line, nodes, ok)
		}
	})
}

func BenchmarkAddress(b *testing.B) {
	for _, bb := range []struct {
		name string
		r    *http.Request
		by   Proxies
	}{
		{"direct", from("203.0.113.9:1234", nil, nil), proxies},
		{"X-Forwarded-For", from("10.0.0.1:1234", nil, []string{"203.0.113.9, 10.0.0.2"}), proxies},
		{"Forwarded", from("10.0.0.1:1234", []string{"for=203.0.113.9;proto=https, for=10.0.0.2"}, nil), forwarded},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Address(bb.r, bb.by)
			}
		})
	}
}
