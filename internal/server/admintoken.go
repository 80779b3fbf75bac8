package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"comet/gateway/limit"
)

// Guesses of admin.token that an address has, in a row and per second; the next
// ones are answered 429. The right token is always accepted, also from there.
const (
	guessBurst     = 10
	guessPerSecond = 1
	guessAddresses = 10_000 // remembered
)

// withToken serves only requests with token as a bearer. Without a token it
// serves what is asked from this machine, as far as the request shows it.
func withToken(token string, logger *slog.Logger, h http.Handler) http.Handler {
	if token == "" {
		return fromHere(h)
	}
	want := sha256.Sum256([]byte("Bearer " + token))
	guesses := limit.NewRates[netip.Addr](limit.Rate{PerSecond: guessPerSecond, Burst: guessBurst}, guessAddresses)
	warnings := rate.NewLimiter(rate.Every(time.Minute), 1)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := r.Header.Get("Authorization")
		got := sha256.Sum256([]byte(shown))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			h.ServeHTTP(w, r)
			return
		}
		if shown != "" { // a browser asks without one first
			address := limit.Address(r, limit.Proxies{})
			if wait, ok := guesses.AllowN(address, 1); !ok {
				if warnings.Allow() {
					logger.WarnContext(r.Context(), "admin token guesses throttled", "address", address)
				}
				w.Header().Set("Retry-After", strconv.Itoa(limit.RetryAfter(wait)))
				http.Error(w, "Too many requests with a wrong token. Try again later.", http.StatusTooManyRequests)
				return
			}
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="comet admin"`)
		http.Error(w, "Send admin.token as Authorization: Bearer TOKEN.", http.StatusUnauthorized)
	})
}

// fromHere serves only what calls this machine localhost, or by an IP address. A
// page of anywhere can have its own name lead to 127.0.0.1 (DNS rebinding), and
// would then be of the same origin to the browser. Nor is anything done for
// another site's page: it could not read the answer, but have a profile begin.
func fromHere(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !limit.IsLocalName(host) {
			http.Error(w, "Without admin.token the host must be localhost or an IP address. Set admin.token to allow other names.", http.StatusMisdirectedRequest)
			return
		}
		if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
			http.Error(w, "Without admin.token requests from pages of other sites are refused.", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}
