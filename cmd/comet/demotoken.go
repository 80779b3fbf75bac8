package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"comet/config"
	"comet/gateway/auth"
)

const (
	demoTokenPath = "/demo/token"
	demoTokenTTL  = 10 * time.Minute
	maxDemoBody   = 1 << 10 // bytes
	maxDemoName   = 120     // bytes: a channel with two names has at most 255
)

// demoName is what a user of the chat may be called. It has nothing that means
// something in a channel or a pattern: no slash, no *, no ~, which stands between
// the two of a direct conversation.
var demoName = regexp.MustCompile(`^[\pL\pN]([\pL\pM\pN ._'’@-]{0,30}[\pL\pM\pN._'’@-])?$`)

// demoDesk gives every client a token for the name that it asks for. It knows no
// passwords, so it is for the demo alone: an application has its own sign-in.
//
//	POST /demo/token {"name": "alice"} → 200 {"token": "…"}, or 400 {"detail": "…"}
type demoDesk struct {
	secret []byte // that the nodes verify tokens with
	ttl    time.Duration
	logger *slog.Logger
}

// newDemoDesk makes the secret, which lives as long as the process.
func newDemoDesk(logger *slog.Logger) *demoDesk {
	return &demoDesk{secret: []byte(rand.Text() + rand.Text()), ttl: demoTokenTTL, logger: logger}
}

// open makes settings those of a node that takes the desk's tokens, and shows who
// is in rooms and direct conversations. Without a token everything else stays
// open, for a tour with curl.
func (d *demoDesk) open(s *config.Settings) {
	s.Auth.JWT.Algorithms = []string{"HS256"}
	s.Auth.JWT.Secret = config.NewSecret(string(d.secret))
	s.Auth.Anonymous = config.Anonymous{Subscribe: []string{"*", "chat/**"}, Publish: []string{"*", "chat/**"}}
	s.Channels = []config.ChannelRule{{Match: "chat/**", Presence: true}, {Match: "dm/*", Presence: true}}
}

func (d *demoDesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	var wish struct{ Name string }
	switch {
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		d.refuse(w, http.StatusMethodNotAllowed, "Use POST.")
	case json.NewDecoder(http.MaxBytesReader(w, r.Body, maxDemoBody)).Decode(&wish) != nil:
		d.refuse(w, http.StatusBadRequest, `The body must be JSON, as in {"name": "alice"}.`)
	case len(wish.Name) > maxDemoName || !demoName.MatchString(wish.Name):
		d.refuse(w, http.StatusBadRequest, "A name is 1 to 32 letters, digits, spaces and . _ - ' @ and begins with a letter or digit.")
	default:
		d.give(w, wish.Name)
	}
}

func (d *demoDesk) refuse(w http.ResponseWriter, status int, detail string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"detail": detail})
}

func (d *demoDesk) give(w http.ResponseWriter, name string) {
	now := time.Now()
	permissions, err := demoPermissions(name)
	claims := &auth.Claims{Subject: name, IssuedAt: now, Expires: now.Add(d.ttl), Permissions: permissions}
	token, signing := auth.Sign(claims, "HS256", d.secret)
	if err := errors.Join(err, signing); err != nil {
		d.logger.Error("token creation failed", "error", err)
		d.refuse(w, http.StatusInternalServerError, "The token could not be created. Try again.")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token})
}

// demoPermissions returns the permissions of a user of the chat: all rooms, and
// direct conversations `dm/alice~bob` with one other user each, where names are in
// order. The user that begins one announces it in `inbox/bob`, which only bob may
// read.
func demoPermissions(name string) (p auth.Permissions, err error) {
	direct := []string{"chat/**", "dm/" + name + "~*", "dm/*~" + name}
	if p.Subscribe, err = auth.ParsePatterns(append(direct, "inbox/"+name)); err != nil {
		return p, err
	}
	p.Publish, err = auth.ParsePatterns(append(direct, "inbox/*"))
	return p, err
}
