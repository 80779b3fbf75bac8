package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Setting is one row of the table of settings.
type Setting struct {
	Key     string // in the file: http.listen
	Env     string // COMET_HTTP_LISTEN
	Flag    string // http-listen, without the dashes before it
	Type    string // bool, duration, list, number, ratio, rules, size or string
	Allowed string // the range, in words; may be empty
	Default string // as in a variable; empty: not set
	Help    string
	Secret  bool // masked wherever it is shown

	set  func(*Settings, any) error // from a string or []string; keeps the old value on error
	text func(*Settings) string     // as in a variable, secrets masked
	yaml func(*Settings) string     // as in the file; empty: a list that is not set
	same func(a, b *Settings) bool  // whether both have the same value
	copy func(to, from *Settings)
}

// Table returns every setting. Keys of one group follow each other.
func Table() []Setting { return slices.Clone(table) }

const keyRules = "auth.key_rules"

var table = []Setting{
	row("http.listen", "127.0.0.1:8080", "address of the HTTP listener for clients; without a host, it listens on every interface",
		listenAddress(), func(s *Settings) *string { return &s.HTTP.Listen }),
	row("http.heartbeat", "25s", "interval of the comment sent on a silent stream, which keeps proxies from closing it",
		duration(time.Second, 10*time.Minute), func(s *Settings) *time.Duration { return &s.HTTP.Heartbeat }),
	row("http.compress", "off", "whether to compress streams with gzip for clients that accept it (docs/protocol.md#compression)",
		oneOf("off", "on"), func(s *Settings) *string { return &s.HTTP.Compress }),
	row("http.max_age", "0s", "longest duration of a stream, varied by up to a tenth, so that streams spread over nodes added later; 0s: no limit",
		duration(0, 720*time.Hour), func(s *Settings) *time.Duration { return &s.HTTP.MaxAge }),
	row("http.chat", "false", "whether to serve the chat page at `/`, for tests and demonstrations; comet demo serves it",
		boolean(), func(s *Settings) *bool { return &s.HTTP.Chat }),
	list("http.cors.origins", "origins whose pages may call this node from a browser; `*`: every origin, without cookies",
		freeText(), func(s *Settings) *[]string { return &s.HTTP.CORS.Origins }),
	row("http.tls.cert", "", "PEM file of the certificate chain for HTTPS and HTTP/2; read again when it changes",
		freeText(), func(s *Settings) *string { return &s.HTTP.TLS.Cert }),
	row("http.tls.key", "", "PEM file of the private key of http.tls.cert",
		freeText(), func(s *Settings) *string { return &s.HTTP.TLS.Key }),
	list("http.trusted_proxies", "proxies whose http.forwarded_header and X-Forwarded-Host are trusted, for the client's address and the requested host",
		addressPrefix(), func(s *Settings) *[]string { return &s.HTTP.TrustedProxies }),
	row("http.forwarded_header", "X-Forwarded-For", "header in which http.trusted_proxies name the client; the other header is ignored, as clients can send it",
		oneOf("X-Forwarded-For", "Forwarded"), func(s *Settings) *string { return &s.HTTP.ForwardedHeader }),

	row("admin.listen", "127.0.0.1:9090", "address of the listener for operators: health, metrics, dashboard; do not expose it; empty: no listener",
		listenAddressOrNone(), func(s *Settings) *string { return &s.Admin.Listen }),

	row("admin.token", "", "bearer token that operators must send; required to listen beyond loopback, with at least 32 characters",
		secret(), func(s *Settings) *Secret { return &s.Admin.Token }),

	list("redis.addresses", "Redis: one address, some of the Sentinels, or some nodes of a Redis Cluster; empty: the in-process broker",
		redisAddress(), func(s *Settings) *[]string { return &s.Redis.Addresses }),
	row("redis.required", "false", "whether to refuse to start without redis.addresses; for clusters, where a node with an in-process broker must not look healthy",
		boolean(), func(s *Settings) *bool { return &s.Redis.Required }),
	row("redis.master", "", "name of the primary that the Sentinels monitor; redis.addresses are then the Sentinels",
		freeText(), func(s *Settings) *string { return &s.Redis.Master }),
	row("redis.sentinel_username", "", "ACL user for the Sentinels",
		freeText(), func(s *Settings) *string { return &s.Redis.SentinelUsername }),
	row("redis.sentinel_password", "", "password for the Sentinels",
		secret(), func(s *Settings) *Secret { return &s.Redis.SentinelPassword }),
	row("redis.cluster", "false", "whether redis.addresses is a Redis Cluster; implied by several addresses without redis.master",
		boolean(), func(s *Settings) *bool { return &s.Redis.Cluster }),
	row("redis.username", "", "ACL user for Redis",
		freeText(), func(s *Settings) *string { return &s.Redis.Username }),
	row("redis.password", "", "password for Redis; other users of the host can see flags: prefer redis.password_file",
		secret(), func(s *Settings) *Secret { return &s.Redis.Password }),
	row("redis.password_file", "", "file with the password for Redis; read for each connection, so that the password can be rotated",
		freeText(), func(s *Settings) *string { return &s.Redis.PasswordFile }),
	row("redis.db", "0", "database number, which separates clusters with the same redis.prefix; Redis Cluster has only 0",
		number(0, 15), func(s *Settings) *int { return &s.Redis.DB }),
	row("redis.tls.enabled", "false", "whether to connect to Redis with TLS",
		boolean(), func(s *Settings) *bool { return &s.Redis.TLS.Enabled }),
	row("redis.tls.ca", "", "PEM file of the certificate authorities for Redis, instead of the system's",
		freeText(), func(s *Settings) *string { return &s.Redis.TLS.CA }),
	row("redis.tls.cert", "", "PEM file of the client certificate for a Redis that requires one (tls-auth-clients); read for each connection",
		freeText(), func(s *Settings) *string { return &s.Redis.TLS.Cert }),
	row("redis.tls.key", "", "PEM file of the private key of redis.tls.cert",
		freeText(), func(s *Settings) *string { return &s.Redis.TLS.Key }),
	row("redis.tls.server_name", "", "name in the certificate of Redis, if it is not the host of the address",
		freeText(), func(s *Settings) *string { return &s.Redis.TLS.ServerName }),
	row("redis.prefix", "comet", "prefix of every key and relay channel in Redis; the same on all nodes of a cluster",
		prefix(), func(s *Settings) *string { return &s.Redis.Prefix }),
	row("redis.timeout", "3s", "timeout of a command in Redis",
		duration(100*time.Millisecond, time.Minute), func(s *Settings) *time.Duration { return &s.Redis.Timeout }),
	row("redis.min_replicas", "0", "replicas that must have a message before its publish is acknowledged; a Redis with exactly that many loses no acknowledged message in a failover",
		number(0, 10), func(s *Settings) *int { return &s.Redis.MinReplicas }),
	row("redis.relays", "1", "relay connections of this node, if one is too slow; Redis Cluster has one per primary",
		number(1, 64), func(s *Settings) *int { return &s.Redis.Relays }),
	row("redis.inline", "16KiB", "largest message relayed in full; each node with subscribers reads a larger one from the log",
		size(1, 1<<20), func(s *Settings) *ByteSize { return &s.Redis.Inline }),

	row("history.size", "1000", "messages kept per channel, approximately",
		historySize(), func(s *Settings) *int { return &s.History.Size }),
	row("history.ttl", "24h", "how long the history of a channel is kept after its last message",
		historyTTL(), func(s *Settings) *time.Duration { return &s.History.TTL }),

	row("channels", "[]", "rules for channels, as in `[{match: \"chat/**\", history: {size: 100, ttl: 1h}, presence: true, patterns: true}]`; the first match counts (docs/operations.md#rules-for-channels)",
		channelRules(), func(s *Settings) *[]ChannelRule { return &s.Channels }),
	row("presence.ttl", "30s", "how long the users of a crashed node stay listed in presence",
		duration(5*time.Second, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Presence.TTL }),
	row("presence.members", "100000", "maximum members listed per channel",
		number(1, 1_000_000), func(s *Settings) *int { return &s.Presence.Members }),

	row("bayeux.enabled", "false", "whether to serve CometD and Faye clients at bayeux.path (docs/bayeux.md)",
		boolean(), func(s *Settings) *bool { return &s.Bayeux.Enabled }),
	row("bayeux.path", "/bayeux", "path of the endpoint for CometD and Faye clients, with everything below it",
		urlPath(), func(s *Settings) *string { return &s.Bayeux.Path }),
	row("bayeux.prefix", "", "prefix of the channels that CometD and Faye clients use: with `app/`, their `/chat/1` is the channel `app/chat/1`",
		channelPrefix(), func(s *Settings) *string { return &s.Bayeux.Prefix }),
	row("bayeux.timeout", "30s", "longest wait of a /meta/connect; at most limits.wait",
		duration(time.Second, 5*time.Minute), func(s *Settings) *time.Duration { return &s.Bayeux.Timeout }),
	row("bayeux.interval", "0s", "pause of a client between an answer to a /meta/connect and the next one",
		duration(0, time.Minute), func(s *Settings) *time.Duration { return &s.Bayeux.Interval }),
	row("bayeux.max_interval", "1m", "how long the session of a CometD or Faye client is kept when it does not connect again",
		duration(time.Second, time.Hour), func(s *Settings) *time.Duration { return &s.Bayeux.MaxInterval }),

	list("auth.anonymous.subscribe", "channels that everyone may read; with no setting under auth, everyone may do everything, on loopback only",
		pattern(), func(s *Settings) *[]string { return &s.Auth.Anonymous.Subscribe }),
	list("auth.anonymous.publish", "channels that everyone may publish to",
		pattern(), func(s *Settings) *[]string { return &s.Auth.Anonymous.Publish }),

	row("auth.keys", "", "API keys of back ends, as name:secret, comma-separated; a name may appear twice while its secret is rotated; prefer auth.keys_file",
		secret(), func(s *Settings) *Secret { return &s.Auth.Keys }),
	row("auth.keys_file", "", "file of API keys, one name:secret per line",
		freeText(), func(s *Settings) *string { return &s.Auth.KeysFile }),
	list(keyRules, "permissions of API keys, as in backend:publish:chat/**; a key without a rule may do everything",
		keyRule(), func(s *Settings) *[]string { return &s.Auth.KeyRules }),
	list("auth.jwt.algorithms", "accepted signature algorithms of tokens; empty: tokens are not accepted",
		oneOf("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
		func(s *Settings) *[]string { return &s.Auth.JWT.Algorithms }),
	row("auth.jwt.secret", "", "secret for the HS algorithms, at least 32 bytes; prefer auth.jwt.secret_file",
		secret(), func(s *Settings) *Secret { return &s.Auth.JWT.Secret }),
	row("auth.jwt.secret_file", "", "file of secrets for the HS algorithms, one per line; several while a secret is rotated",
		freeText(), func(s *Settings) *string { return &s.Auth.JWT.SecretFile }),
	list("auth.jwt.public_keys", "PEM files of the public keys for all algorithms but HS",
		freeText(), func(s *Settings) *[]string { return &s.Auth.JWT.PublicKeys }),
	row("auth.jwt.jwks_url", "", "URL of a JWK set with public keys for tokens; https, or http on loopback",
		keysURL(), func(s *Settings) *string { return &s.Auth.JWT.JWKSURL }),
	row("auth.jwt.jwks_refresh", "15m", "interval between fetches of auth.jwt.jwks_url",
		duration(time.Second, 24*time.Hour), func(s *Settings) *time.Duration { return &s.Auth.JWT.JWKSRefresh }),
	row("auth.jwt.issuer", "", "required claim iss of a token; empty: any",
		freeText(), func(s *Settings) *string { return &s.Auth.JWT.Issuer }),
	row("auth.jwt.audience", "", "required claim aud of a token; empty: any",
		freeText(), func(s *Settings) *string { return &s.Auth.JWT.Audience }),
	row("auth.jwt.max_age", "24h", "how long after its claim iat, which is required, a token is accepted; revocations are kept as long",
		duration(time.Second, 8760*time.Hour), func(s *Settings) *time.Duration { return &s.Auth.JWT.MaxAge }),
	row("auth.jwt.leeway", "10s", "largest difference between the clocks of nodes and token issuers; a revocation also refuses tokens issued within this time after it",
		duration(0, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Auth.JWT.Leeway }),
	row("auth.jwt.grace", "0s", "how long a stream stays open after its token expires",
		duration(0, 24*time.Hour), func(s *Settings) *time.Duration { return &s.Auth.JWT.Grace }),
	row("auth.revocations_file", "auto", "file that keeps revocations across restarts of a node without Redis; auto: in $STATE_DIRECTORY, $XDG_STATE_HOME/comet or ~/.local/state/comet; empty: in memory only",
		freeText(), func(s *Settings) *string { return &s.Auth.RevocationsFile }),
	row("auth.cookie.name", "", "name of the cookie that may hold a token",
		freeText(), func(s *Settings) *string { return &s.Auth.Cookie.Name }),
	list("auth.cookie.origins", "origins, besides the node's own, whose pages may publish with the cookie",
		freeText(), func(s *Settings) *[]string { return &s.Auth.Cookie.Origins }),

	row("auth.hook.url", "", "URL of the application, which must also allow each subscribe and publish (docs/hooks.md); https, or http on loopback",
		freeText(), func(s *Settings) *string { return &s.Auth.Hook.URL }),
	row("auth.hook.secret_file", "", "file of the secret that signs requests to auth.hook.url, at least 32 bytes",
		freeText(), func(s *Settings) *string { return &s.Auth.Hook.SecretFile }),
	list("auth.hook.headers", "headers of a client's request that auth.hook.url gets, such as Cookie; remembered answers count only for the same values",
		headerName(), func(s *Settings) *[]string { return &s.Auth.Hook.Headers }),
	row("auth.hook.timeout", "1s", "hook timeout; no answer in time means \"denied\"",
		duration(10*time.Millisecond, time.Minute), func(s *Settings) *time.Duration { return &s.Auth.Hook.Timeout }),

	row("limits.message", "64KiB", "largest body of a message; some clients read at most 64 KiB of an event, including what surrounds the message (docs/clients.md)",
		size(1, 1<<20), func(s *Settings) *ByteSize { return &s.Limits.Message }),
	row("limits.batch", "1000", "maximum messages in one POST /v1/publish",
		number(1, 10_000), func(s *Settings) *int { return &s.Limits.Batch }),
	row("limits.channels", "64", "maximum channels per subscription",
		number(1, 256), func(s *Settings) *int { return &s.Limits.Channels }),
	row("limits.wait", "55s", "longest wait of a long poll",
		duration(0, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Limits.Wait }),
	row("limits.connections", "0", "maximum streams and waiting polls on this node; 0: no limit",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.Connections }),
	row("limits.replay_memory", "64MiB", "memory of all clients that read the log, 256KiB each; further clients wait up to 5s or are refused",
		size(1<<20, 64<<30), func(s *Settings) *ByteSize { return &s.Limits.ReplayMemory }),
	row("limits.header", "16KiB", "largest header of a request, including its URL",
		size(4<<10, 1<<20), func(s *Settings) *ByteSize { return &s.Limits.Header }),
	row("limits.address_connections", "0", "maximum streams and waiting polls per address (IPv6: per /64), and as many other connections; 0: no limit",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.AddressConnections }),
	row("limits.user_connections", "0", "maximum streams and waiting polls per user; 0: no limit",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.UserConnections }),
	row("limits.address_requests", "0", "requests per second and address; 0: no limit",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.AddressRequests }),
	row("limits.user_requests", "0", "requests per second and user; 0: no limit",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.UserRequests }),
	row("limits.address_publishes", "0", "messages published per second and address; 0: no limit",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.AddressPublishes }),
	row("limits.user_publishes", "0", "messages published per second and user; 0: no limit",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.UserPublishes }),

	row("drain.delay", "5s", "time from SIGTERM, when the node reports not ready, until it stops accepting connections; as long as load balancers take to notice",
		duration(0, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Drain.Delay }),
	row("drain.spread", "20s", "time over which the node closes its streams, evenly, so that clients do not reconnect all at once",
		duration(0, time.Hour), func(s *Settings) *time.Duration { return &s.Drain.Spread }),

	row("events.url", "", "URL that receives events: first and last subscribers of channels, connects and disconnects (docs/hooks.md); https, or http on loopback",
		freeText(), func(s *Settings) *string { return &s.Events.URL }),
	row("events.secret_file", "", "file of the secret that signs requests to events.url, at least 32 bytes",
		freeText(), func(s *Settings) *string { return &s.Events.SecretFile }),

	row("log.level", "info", "lowest level that is logged",
		logLevel(), func(s *Settings) *slog.Level { return &s.Log.Level }),
	row("log.format", "text", "format of log lines",
		oneOf("text", "json"), func(s *Settings) *string { return &s.Log.Format }),

	row("tracing.endpoint", "", "OTLP/HTTP endpoint for the spans of publishes, as in http://127.0.0.1:4318; empty: no tracing",
		tracingURL(), func(s *Settings) *string { return &s.Tracing.Endpoint }),
	row("tracing.sample", "1", "share of traces to keep, of those that begin on this node",
		ratio(), func(s *Settings) *float64 { return &s.Tracing.Sample }),

	row("node", "", "name of this node, in answers and on the chat page; empty: the host name",
		nodeName(), func(s *Settings) *string { return &s.Node }),
}

// setting returns the setting of a key that exists.
func setting(key string) Setting {
	i := slices.IndexFunc(table, func(s Setting) bool { return s.Key == key })
	return table[i]
}

// isKey reports whether a setting has that key.
func isKey(key string) bool {
	return slices.ContainsFunc(table, func(s Setting) bool { return s.Key == key })
}

// groupMember returns the first key of a group, as redis.addresses of redis.
func groupMember(group string) (key string, ok bool) {
	i := slices.IndexFunc(table, func(s Setting) bool { return strings.HasPrefix(s.Key, group+".") })
	if i < 0 {
		return "", false
	}
	return table[i].Key, true
}

// MarkdownTable returns the settings table of docs/settings.md.
func MarkdownTable() string {
	var b strings.Builder
	b.WriteString("| setting | default | allowed | description |\n|---|---|---|---|\n")
	for _, s := range table {
		def := ""
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Key, def, s.Allowed, s.Help)
	}
	return b.String()
}
