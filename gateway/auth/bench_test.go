package auth

import (
	"net/http"
	"runtime"
	"strconv"
	"testing"
)

// BenchmarkVerify is a token that is new to the node: a client's first one.
func BenchmarkVerify(b *testing.B) {
	for algorithm, name := range map[string]string{"HS256": "", "RS256": "rsa", "ES256": "p256", "EdDSA": "ed"} {
		b.Run(algorithm, func(b *testing.B) {
			o := TokenOptions{Algorithms: []string{algorithm}}
			var key any = []byte(secretText)
			if name == "" {
				o.Secrets = [][]byte{[]byte(secretText)}
			} else {
				key, o.PublicKeyFiles = pairs()[name].private, []string{pairs()[name].file(b)}
			}
			tokens := mustTokens(b, o)
			token := sign(b, algorithm, key, nil, alice(nil))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tokens.parse(token, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAuthenticate is a token that the node knows: a reconnect.
func BenchmarkAuthenticate(b *testing.B) {
	a := matrix(b)
	r := request(http.MethodGet, "/v1/events?channel=chat/1", "Bearer "+hs256(b, alice(nil)))
	b.ReportAllocs()
	for b.Loop() {
		p, err := a.Authenticate(r)
		if err != nil || p.MaySubscribe("chat/1") != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCacheMemory says what a token in the cache holds.
func BenchmarkCacheMemory(b *testing.B) {
	tokens := mustTokens(b, TokenOptions{Algorithms: []string{"HS256"}, Secrets: [][]byte{[]byte(secretText)}})
	all := make([]string, acceptedSize/2)
	for i := range all {
		all[i] = hs256(b, alice(map[string]any{"sub": strconv.Itoa(i)}))
	}
	for b.Loop() {
		tokens.accepted = newCache(acceptedSize)
		before := heap()
		for _, token := range all {
			if _, err := tokens.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/float64(len(all)), "B/token")
	}
	runtime.KeepAlive(all)
}

// heap is the bytes that are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
