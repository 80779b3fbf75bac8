package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"comet/internal/textfile"
)

// Settings is every setting of a node. What each means, its range and its
// default are in table.go.
type Settings struct {
	HTTP     HTTP
	Admin    Admin
	Redis    Redis
	History  History
	Channels []ChannelRule
	Presence Presence
	Auth     Auth
	Limits   Limits
	Drain    Drain
	Events   Hook
	Log      Log
	Tracing  Tracing
	Node     string // never empty
}

// HTTP is the public listener.
type HTTP struct {
	Listen    string // host:port
	Heartbeat time.Duration
	MaxAge    time.Duration // of a stream; 0: none
	CORS      CORS
	TLS       TLS
	// TrustedProxies are addresses or prefixes (CIDR) of proxies whose word on
	// who the client is counts.
	TrustedProxies  []string
	ForwardedHeader string // that they name the client in: X-Forwarded-For or Forwarded
}

// CORS says which other sites' pages may call.
type CORS struct {
	Origins []string // scheme://host each, or just *
}

// TLS is PEM files; both empty: no TLS.
type TLS struct {
	Cert string
	Key  string
}

// Admin is the listener for operators.
type Admin struct {
	Listen string // host:port; empty: none
	Token  Secret // wanted as Authorization: Bearer from everyone; empty: from nobody
}

// Redis is how to reach Redis. Without Addresses all of it is meaningless.
type Redis struct {
	Required     bool     // refuse to start without Addresses
	Addresses    []string // host:port each, or one absolute path of a Unix socket; empty: the in-process broker
	Master       string
	Username     string
	Password     Secret // use Settings.RedisPassword, which knows PasswordFile too
	PasswordFile string
	DB           int
	TLS          RedisTLS
	Prefix       string
	Timeout      time.Duration

	Cluster          bool // even with one address
	SentinelUsername string
	SentinelPassword Secret
	MinReplicas      int
	Relays           int
	Inline           ByteSize
}

// RedisTLS is made into a tls.Config by Settings.RedisTLS.
type RedisTLS struct {
	Enabled    bool
	CA         string // path of a PEM file; empty: the system's
	Cert, Key  string // paths of PEM files; empty: no client certificate
	ServerName string // empty: the host of the address
}

// History is what is kept of each channel, unless a ChannelRule says otherwise.
type History struct {
	Size int // messages
	TTL  time.Duration
}

// Presence is how it is kept who is in a channel, where a ChannelRule says so.
type Presence struct {
	TTL     time.Duration // within which the members of a node that died have left
	Members int           // kept a channel
}

// Auth says who may do what; see Settings.Open.
type Auth struct {
	Anonymous Anonymous
	Keys      Secret   // name:secret each, comma-separated
	KeysFile  string   // name:secret a line
	KeyRules  []string // name:verb:pattern each; a key without any may do everything
	JWT       JWT
	// RevocationsFile keeps revocations of a node without Redis. AutoFile: the
	// node chooses a place. Empty: none.
	RevocationsFile string
	Cookie          Cookie
	Hook            AuthHook
}

// Anonymous has the channel patterns that are open to everyone. Nil is not
// the same as empty: see Settings.Open.
type Anonymous struct {
	Subscribe []string
	Publish   []string
}

// JWT says which tokens are taken; without Algorithms none are.
type JWT struct {
	Algorithms  []string
	Secret      Secret
	SecretFile  string
	PublicKeys  []string // PEM files
	JWKSURL     string
	JWKSRefresh time.Duration
	Issuer      string
	Audience    string
	MaxAge      time.Duration // after iat
	Leeway      time.Duration
	Grace       time.Duration
}

// AutoFile is a value of Auth.RevocationsFile.
const AutoFile = "auto"

// Hook is a URL that the node calls; see package gateway/hook.
type Hook struct {
	URL        string // empty: none
	SecretFile string // what calls are signed with
}

// AuthHook is asked who may do what.
type AuthHook struct {
	Hook
	Timeout time.Duration
}

// Cookie is a cookie that may hold a token.
type Cookie struct {
	Name    string   // empty: none
	Origins []string // whose pages may change something with it
}

// Limits are the bounds of what clients may ask for.
type Limits struct {
	Message      ByteSize
	Batch        int // messages
	Channels     int // a subscription
	Wait         time.Duration
	Connections  int // 0: no limit, as for all below
	Header       ByteSize
	ReplayMemory ByteSize

	AddressConnections int
	UserConnections    int
	AddressRequests    int // a second, as all below
	UserRequests       int
	AddressPublishes   int
	UserPublishes      int
}

// Drain is how the node leaves.
type Drain struct {
	Delay  time.Duration // before it stops accepting
	Spread time.Duration // over which it says goodbye
}

// Log is how the node logs.
type Log struct {
	Level  slog.Level
	Format string // text or json
}

// Tracing is where spans go.
type Tracing struct {
	Endpoint string  // URL of OTLP over HTTP; empty: there are none
	Sample   float64 // of the traces that begin here, 0 to 1
}

// Open reports whether nobody has said who may subscribe and publish, so that
// everyone may. Load allows it on loopback only. If just one of the two lists
// is set, the other one lets nobody in.
func (s *Settings) Open() bool {
	a := &s.Auth
	return a.Anonymous.Subscribe == nil && a.Anonymous.Publish == nil &&
		a.Keys.Reveal() == "" && a.KeysFile == "" && len(a.JWT.Algorithms) == 0
}

// RedisPassword is redis.password or the content of redis.password_file,
// without its last newline. The file is read at each call, so that a rotated
// password is found.
func (s *Settings) RedisPassword() (string, error) {
	if s.Redis.PasswordFile == "" {
		return s.Redis.Password.Reveal(), nil
	}
	content, err := textfile.Read(s.Redis.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("redis.password_file: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}

// RedisTLS is nil unless redis.tls.enabled. It reads the file redis.tls.ca.
func (s *Settings) RedisTLS() (*tls.Config, error) {
	if !s.Redis.TLS.Enabled {
		return nil, nil
	}
	c := &tls.Config{ServerName: s.Redis.TLS.ServerName, MinVersion: tls.VersionTLS12}
	var err error
	if c.RootCAs, err = s.Redis.TLS.roots(); err != nil {
		return nil, fmt.Errorf("redis.tls.ca: %w", err)
	}
	if s.Redis.TLS.Cert == "" {
		return c, nil
	}
	if _, err := s.Redis.TLS.certificate(nil); err != nil {
		return nil, fmt.Errorf("redis.tls.cert: %w", err)
	}
	t := s.Redis.TLS // files are read for each connection, so that they may be replaced
	c.GetClientCertificate = t.certificate
	return c, nil
}

// roots reads CA. nil: the system's.
func (t *RedisTLS) roots() (*x509.CertPool, error) {
	if t.CA == "" {
		return nil, nil
	}
	pem, err := textfile.Read(t.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errNoCertificate
	}
	return pool, nil
}

// certificate reads Cert and Key. It is a tls.Config.GetClientCertificate.
func (t *RedisTLS) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	cert, err := textfile.Read(t.Cert)
	if err != nil {
		return nil, err
	}
	key, err := textfile.Read(t.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	return &pair, err
}

var errNoCertificate = errors.New("has no PEM certificate in it")
