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

// Settings is every setting of a node. See table.go for meanings, ranges and
// defaults.
type Settings struct {
	HTTP     HTTP
	Admin    Admin
	Redis    Redis
	History  History
	Channels []ChannelRule
	Presence Presence
	Bayeux   Bayeux
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
	Compress  string        // whether to compress streams for clients that accept gzip: off or on
	MaxAge    time.Duration // of a stream; 0: none
	Chat      bool          // whether to serve the chat page
	CORS      CORS
	TLS       TLS
	// TrustedProxies are addresses or prefixes (CIDR) of proxies that may name the
	// client.
	TrustedProxies  []string
	ForwardedHeader string // in which proxies name the client: X-Forwarded-For or Forwarded
}

// CORS lists the other origins whose pages may call.
type CORS struct {
	Origins []string // scheme://host each, or only *
}

// TLS is PEM files; both empty: no TLS.
type TLS struct {
	Cert string
	Key  string
}

// Admin is the listener for operators.
type Admin struct {
	Listen string // host:port; empty: none
	Token  Secret // required bearer token; empty: not required
}

// Redis is the connection to Redis. Without Addresses it has no effect.
type Redis struct {
	Required     bool     // refuse to start without Addresses
	Addresses    []string // host:port each, or one absolute path of a Unix socket; empty: the in-process broker
	Master       string
	Username     string
	Password     Secret // use Settings.RedisPassword, which also reads PasswordFile
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

// RedisTLS is the TLS settings for Redis; see Settings.RedisTLS.
type RedisTLS struct {
	Enabled    bool
	CA         string // path of a PEM file; empty: the authorities of the system
	Cert, Key  string // paths of PEM files; empty: no client certificate
	ServerName string // empty: the host of the address
}

// History bounds the messages kept per channel. A ChannelRule overrides it.
type History struct {
	Size int // messages
	TTL  time.Duration
}

// Presence applies to channels for which a ChannelRule enables presence.
type Presence struct {
	TTL     time.Duration // after which members of a crashed node are removed
	Members int           // listed per channel at most
}

// Bayeux is the protocol of CometD and Faye clients.
type Bayeux struct {
	Enabled     bool
	Path        string        // of the endpoint
	Prefix      string        // of the channels that Bayeux clients may use
	Timeout     time.Duration // longest wait of a connect
	Interval    time.Duration // between an answer and the next connect
	MaxInterval time.Duration // how long a session is kept without a connect
}

// Auth is authentication and permissions; see Settings.Open.
type Auth struct {
	Anonymous Anonymous
	Keys      Secret   // name:secret each, comma-separated
	KeysFile  string   // one name:secret per line
	KeyRules  []string // name:verb:pattern each; a key without a rule may do everything
	JWT       JWT
	// RevocationsFile keeps revocations of a node without Redis. AutoFile: the
	// node chooses the path. Empty: no file.
	RevocationsFile string
	Cookie          Cookie
	Hook            AuthHook
}

// Anonymous holds the channel patterns that are open to everyone. Nil differs from
// empty: see Settings.Open.
type Anonymous struct {
	Subscribe []string
	Publish   []string
}

// JWT is the verification of tokens. Without Algorithms no token is accepted.
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
	URL        string // empty: no calls
	SecretFile string // of the secret that signs calls
}

// AuthHook decides who may subscribe and publish.
type AuthHook struct {
	Hook
	Headers []string // of clients' requests that it gets
	Timeout time.Duration
}

// Cookie is a cookie that may hold a token.
type Cookie struct {
	Name    string   // empty: no cookie
	Origins []string // whose pages may publish with the cookie
}

// Limits bound the requests of clients.
type Limits struct {
	Message      ByteSize
	Batch        int // messages
	Channels     int // per subscription
	Wait         time.Duration
	Connections  int // 0: no limit, as for all below
	Header       ByteSize
	ReplayMemory ByteSize

	AddressConnections int
	UserConnections    int
	AddressRequests    int // per second, as all below
	UserRequests       int
	AddressPublishes   int
	UserPublishes      int
}

// Drain is the shutdown of the node.
type Drain struct {
	Delay  time.Duration // before the node stops accepting connections
	Spread time.Duration // over which streams are closed
}

// Log is the output of the log.
type Log struct {
	Level  slog.Level
	Format string // text or json
}

// Tracing is the export of spans.
type Tracing struct {
	Endpoint string  // URL of OTLP over HTTP; empty: no spans
	Sample   float64 // of the traces that begin here, 0 to 1
}

// Open reports whether no setting says who may subscribe and publish, so that
// everyone may. Load allows this only on loopback. If only one of the two anonymous
// lists is set, the other one permits nothing.
func (s *Settings) Open() bool {
	a := &s.Auth
	return a.Anonymous.Subscribe == nil && a.Anonymous.Publish == nil &&
		a.Keys.Reveal() == "" && a.KeysFile == "" && len(a.JWT.Algorithms) == 0
}

// RedisPassword returns redis.password, or the content of redis.password_file
// without its last newline. It reads the file at each call, so that a rotated
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

// RedisTLS returns nil unless redis.tls.enabled. It reads the file redis.tls.ca.
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

// roots reads CA. It returns nil, for the authorities of the system, without one.
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

var errNoCertificate = errors.New("has no PEM certificate")
