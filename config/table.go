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
	Allowed string // the range in words; may be empty
	Default string // as one would write it; empty: not set
	Help    string
	Secret  bool // never shown

	set  func(*Settings, any) error // from a string or []string; keeps the old value on error
	text func(*Settings) string     // as one would write it in a variable, secrets masked
	yaml func(*Settings) string     // as one would write it in the file; empty: a list that is not set
	same func(a, b *Settings) bool  // whether both have the same value
	take func(to, from *Settings)   // copies the value
}

// Table is every setting, keys of one group together.
func Table() []Setting { return slices.Clone(table) }

const keyRules = "auth.key_rules"

var table = []Setting{
	row("http.listen", "127.0.0.1:8080", "where clients connect; without a host, on every interface",
		listenAddress(), func(s *Settings) *string { return &s.HTTP.Listen }),
	row("http.heartbeat", "25s", "how often a silent stream gets a comment that keeps proxies from closing it",
		duration(time.Second, 10*time.Minute), func(s *Settings) *time.Duration { return &s.HTTP.Heartbeat }),

	row("http.max_age", "0s", "how long a stream lives, up to a tenth more or less, so that streams even out after nodes were added; 0s for ever",
		duration(0, 720*time.Hour), func(s *Settings) *time.Duration { return &s.HTTP.MaxAge }),
	list("http.cors.origins", "sites whose pages may call this node from a browser; `*` for all, without cookies",
		freeText(), func(s *Settings) *[]string { return &s.HTTP.CORS.Origins }),
	row("http.tls.cert", "", "PEM file of the certificate chain, for HTTPS and HTTP/2; read again when it changes",
		freeText(), func(s *Settings) *string { return &s.HTTP.TLS.Cert }),
	row("http.tls.key", "", "PEM file of its private key",
		freeText(), func(s *Settings) *string { return &s.HTTP.TLS.Key }),
	list("http.trusted_proxies", "proxies whose http.forwarded_header is taken for the client's address, and X-Forwarded-Host for the host that the browser asked",
		addressPrefix(), func(s *Settings) *[]string { return &s.HTTP.TrustedProxies }),
	row("http.forwarded_header", "X-Forwarded-For", "header in which http.trusted_proxies name the client; the other one is ignored, as clients can send it",
		oneOf("X-Forwarded-For", "Forwarded"), func(s *Settings) *string { return &s.HTTP.ForwardedHeader }),

	row("admin.listen", "127.0.0.1:9090", "where operators look: health, metrics; never expose it; empty turns it off",
		listenAddressOrNone(), func(s *Settings) *string { return &s.Admin.Listen }),

	row("admin.token", "", "what operators send as Authorization: Bearer; to listen beyond loopback it must be set, with at least 32 characters",
		secret(), func(s *Settings) *Secret { return &s.Admin.Token }),

	list("redis.addresses", "Redis: one address, some of the Sentinels (they name the others), or some nodes of a Redis Cluster; none for the in-process broker",
		redisAddress(), func(s *Settings) *[]string { return &s.Redis.Addresses }),
	row("redis.required", "false", "refuse to start without redis.addresses; for clusters, where a node with a broker of its own must not look healthy",
		boolean(), func(s *Settings) *bool { return &s.Redis.Required }),
	row("redis.master", "", "name of the primary at the Sentinels; makes redis.addresses the Sentinels",
		freeText(), func(s *Settings) *string { return &s.Redis.Master }),
	row("redis.sentinel_username", "", "ACL user at the Sentinels",
		freeText(), func(s *Settings) *string { return &s.Redis.SentinelUsername }),
	row("redis.sentinel_password", "", "password of the Sentinels",
		secret(), func(s *Settings) *Secret { return &s.Redis.SentinelPassword }),
	row("redis.cluster", "false", "redis.addresses is a Redis Cluster; several addresses without redis.master are one anyway",
		boolean(), func(s *Settings) *bool { return &s.Redis.Cluster }),
	row("redis.username", "", "ACL user",
		freeText(), func(s *Settings) *string { return &s.Redis.Username }),
	row("redis.password", "", "password; a flag is visible to other users of the host, prefer redis.password_file",
		secret(), func(s *Settings) *Secret { return &s.Redis.Password }),
	row("redis.password_file", "", "file that holds the password; read anew for each connection, so that it may be changed",
		freeText(), func(s *Settings) *string { return &s.Redis.PasswordFile }),
	row("redis.db", "0", "database number, which keeps clusters with one redis.prefix apart; Redis Cluster has only 0",
		number(0, 15), func(s *Settings) *int { return &s.Redis.DB }),
	row("redis.tls.enabled", "false", "connect with TLS",
		boolean(), func(s *Settings) *bool { return &s.Redis.TLS.Enabled }),
	row("redis.tls.ca", "", "PEM file of the certificate authorities to trust instead of the system's",
		freeText(), func(s *Settings) *string { return &s.Redis.TLS.CA }),
	row("redis.tls.cert", "", "PEM file of the node's own certificate for a Redis that asks for one (tls-auth-clients); read for each connection",
		freeText(), func(s *Settings) *string { return &s.Redis.TLS.Cert }),
	row("redis.tls.key", "", "PEM file of the private key of redis.tls.cert",
		freeText(), func(s *Settings) *string { return &s.Redis.TLS.Key }),
	row("redis.tls.server_name", "", "name that the certificate must have, if it is not the host of the address",
		freeText(), func(s *Settings) *string { return &s.Redis.TLS.ServerName }),
	row("redis.prefix", "comet", "what every key and relay channel in Redis begins with; nodes of one cluster share it",
		prefix(), func(s *Settings) *string { return &s.Redis.Prefix }),
	row("redis.timeout", "3s", "the longest wait for an answer of Redis",
		duration(100*time.Millisecond, time.Minute), func(s *Settings) *time.Duration { return &s.Redis.Timeout }),
	row("redis.min_replicas", "0", "how many replicas must have a message before its publish is acknowledged; with exactly that many, a takeover by one of them loses nothing acknowledged",
		number(0, 10), func(s *Settings) *int { return &s.Redis.MinReplicas }),
	row("redis.relays", "1", "relay connections of this node, if one is too slow; Redis Cluster has one a primary",
		number(1, 64), func(s *Settings) *int { return &s.Redis.Relays }),
	row("redis.inline", "16KiB", "a larger message is not relayed to the nodes but read by each that has subscribers",
		size(1, 1<<20), func(s *Settings) *ByteSize { return &s.Redis.Inline }),

	row("history.size", "1000", "messages kept a channel, about",
		historySize(), func(s *Settings) *int { return &s.History.Size }),
	row("history.ttl", "24h", "how long a channel is kept after its last message",
		historyTTL(), func(s *Settings) *time.Duration { return &s.History.TTL }),

	row("channels", "[]", "rules for channels, as in `[{match: \"chat/**\", history: {size: 100, ttl: 1h}, presence: true}]`; the first that matches counts (docs/operations.md#rules-for-channels)",
		channelRules(), func(s *Settings) *[]ChannelRule { return &s.Channels }),
	row("presence.ttl", "30s", "within which the users of a node that died have left",
		duration(5*time.Second, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Presence.TTL }),
	row("presence.members", "100000", "users kept a channel; who comes beyond is not listed",
		number(1, 1_000_000), func(s *Settings) *int { return &s.Presence.Members }),

	list("auth.anonymous.subscribe", "channels that everyone may read; if nothing of auth is set, everyone may do everything, on loopback only",
		pattern(), func(s *Settings) *[]string { return &s.Auth.Anonymous.Subscribe }),
	list("auth.anonymous.publish", "channels that everyone may publish to",
		pattern(), func(s *Settings) *[]string { return &s.Auth.Anonymous.Publish }),

	row("auth.keys", "", "keys of back ends, name:secret each, comma-separated; a name may be there twice while its secret is replaced; prefer auth.keys_file",
		secret(), func(s *Settings) *Secret { return &s.Auth.Keys }),
	row("auth.keys_file", "", "file of keys, name:secret a line",
		freeText(), func(s *Settings) *string { return &s.Auth.KeysFile }),
	list(keyRules, "what a key may do, as backend:publish:chat/**; one without a rule may do everything",
		keyRule(), func(s *Settings) *[]string { return &s.Auth.KeyRules }),
	list("auth.jwt.algorithms", "how tokens may be signed; none: no tokens are taken",
		oneOf("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
		func(s *Settings) *[]string { return &s.Auth.JWT.Algorithms }),
	row("auth.jwt.secret", "", "secret of HS algorithms, 32 bytes at least; prefer auth.jwt.secret_file",
		secret(), func(s *Settings) *Secret { return &s.Auth.JWT.Secret }),
	row("auth.jwt.secret_file", "", "file of such secrets, a line each; several while one is replaced",
		freeText(), func(s *Settings) *string { return &s.Auth.JWT.SecretFile }),
	list("auth.jwt.public_keys", "PEM files of the public keys of all other algorithms",
		freeText(), func(s *Settings) *[]string { return &s.Auth.JWT.PublicKeys }),
	row("auth.jwt.jwks_url", "", "where such keys are published (JWKS); https, or http on loopback",
		keysURL(), func(s *Settings) *string { return &s.Auth.JWT.JWKSURL }),
	row("auth.jwt.jwks_refresh", "15m", "how often they are fetched",
		duration(time.Second, 24*time.Hour), func(s *Settings) *time.Duration { return &s.Auth.JWT.JWKSRefresh }),
	row("auth.jwt.issuer", "", "what iss must be; empty: anything",
		freeText(), func(s *Settings) *string { return &s.Auth.JWT.Issuer }),
	row("auth.jwt.audience", "", "what aud must have; empty: anything",
		freeText(), func(s *Settings) *string { return &s.Auth.JWT.Audience }),
	row("auth.jwt.max_age", "24h", "how long after its iat, which it must have, a token is accepted; revocations are remembered as long",
		duration(time.Second, 8760*time.Hour), func(s *Settings) *time.Duration { return &s.Auth.JWT.MaxAge }),
	row("auth.jwt.leeway", "10s", "largest difference between the clocks of nodes and token issuers; a revocation also refuses tokens issued within this time after it",
		duration(0, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Auth.JWT.Leeway }),
	row("auth.jwt.grace", "0s", "how long a stream outlives its token",
		duration(0, 24*time.Hour), func(s *Settings) *time.Duration { return &s.Auth.JWT.Grace }),
	row("auth.revocations_file", "auto", "file that keeps revocations across restarts of a node without Redis; auto: in $STATE_DIRECTORY, $XDG_STATE_HOME/comet or ~/.local/state/comet; empty: in memory only",
		freeText(), func(s *Settings) *string { return &s.Auth.RevocationsFile }),
	row("auth.cookie.name", "", "cookie that may hold the token",
		freeText(), func(s *Settings) *string { return &s.Auth.Cookie.Name }),
	list("auth.cookie.origins", "sites, besides the node's own, whose pages may publish with the cookie",
		freeText(), func(s *Settings) *[]string { return &s.Auth.Cookie.Origins }),

	row("auth.hook.url", "", "asked, besides the rules above, who may subscribe and publish (docs/hooks.md); https, or http on loopback",
		freeText(), func(s *Settings) *string { return &s.Auth.Hook.URL }),
	row("auth.hook.secret_file", "", "file that is the secret which questions are signed with, 32 bytes at least",
		freeText(), func(s *Settings) *string { return &s.Auth.Hook.SecretFile }),
	row("auth.hook.timeout", "1s", "the longest wait for its answer; none is a no",
		duration(10*time.Millisecond, time.Minute), func(s *Settings) *time.Duration { return &s.Auth.Hook.Timeout }),

	row("limits.message", "64KiB", "the largest body of a message; some clients read 64 KiB of an event at most, all that is around the message included (docs/clients.md)",
		size(1, 1<<20), func(s *Settings) *ByteSize { return &s.Limits.Message }),
	row("limits.batch", "1000", "messages in one POST /v1/publish",
		number(1, 10_000), func(s *Settings) *int { return &s.Limits.Batch }),
	row("limits.channels", "64", "channels in one subscription",
		number(1, 256), func(s *Settings) *int { return &s.Limits.Channels }),
	row("limits.wait", "55s", "the longest long-poll",
		duration(0, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Limits.Wait }),
	row("limits.connections", "0", "streams and waiting polls on this node; 0 for no limit",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.Connections }),
	row("limits.replay_memory", "64MiB", "what clients that read the log may hold together, 256KiB each; more of them wait for up to 5s or are refused",
		size(1<<20, 64<<30), func(s *Settings) *ByteSize { return &s.Limits.ReplayMemory }),
	row("limits.header", "16KiB", "the header of a request, with its URL",
		size(4<<10, 1<<20), func(s *Settings) *ByteSize { return &s.Limits.Header }),
	row("limits.address_connections", "0", "streams and waiting polls of one address (IPv6: /64), and as many connections besides; 0: no limit, as for the other limits per address or user",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.AddressConnections }),
	row("limits.user_connections", "0", "streams and waiting polls of one user",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.UserConnections }),
	row("limits.address_requests", "0", "requests a second of one address",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.AddressRequests }),
	row("limits.user_requests", "0", "requests a second of one user",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.UserRequests }),
	row("limits.address_publishes", "0", "messages published a second from one address",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.AddressPublishes }),
	row("limits.user_publishes", "0", "messages published a second by one user",
		number(0, 10_000_000), func(s *Settings) *int { return &s.Limits.UserPublishes }),

	row("drain.delay", "5s", "from SIGTERM, when the node stops being ready, until it stops accepting: as long as load balancers take to notice",
		duration(0, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Drain.Delay }),
	row("drain.spread", "20s", "how long the node takes to say goodbye to its streams, evenly, so that they do not come back together",
		duration(0, time.Hour), func(s *Settings) *time.Duration { return &s.Drain.Spread }),

	row("events.url", "", "told of first and last subscribers of channels, of connects and disconnects (docs/hooks.md); https, or http on loopback",
		freeText(), func(s *Settings) *string { return &s.Events.URL }),
	row("events.secret_file", "", "file that is the secret which they are signed with, 32 bytes at least",
		freeText(), func(s *Settings) *string { return &s.Events.SecretFile }),

	row("log.level", "info", "what is logged: this level and above",
		logLevel(), func(s *Settings) *slog.Level { return &s.Log.Level }),
	row("log.format", "text", "how a log line is written",
		oneOf("text", "json"), func(s *Settings) *string { return &s.Log.Format }),

	row("tracing.endpoint", "", "where spans of publishes go, OTLP over HTTP, as http://127.0.0.1:4318; empty: there are none",
		tracingURL(), func(s *Settings) *string { return &s.Tracing.Endpoint }),
	row("tracing.sample", "1", "how many of the traces that begin here are kept; of others who began them decides",
		ratio(), func(s *Settings) *float64 { return &s.Tracing.Sample }),

	row("node", "", "name of this node, in answers and on the chat page; the host name if not set",
		nodeName(), func(s *Settings) *string { return &s.Node }),
}

// setting is the row of a key that is known to exist.
func setting(key string) Setting {
	i := slices.IndexFunc(table, func(s Setting) bool { return s.Key == key })
	return table[i]
}

// isKey reports whether there is a setting of that name.
func isKey(key string) bool {
	return slices.ContainsFunc(table, func(s Setting) bool { return s.Key == key })
}

// groupMember is the first setting of a group, as redis.addresses is of redis.
func groupMember(group string) (key string, ok bool) {
	i := slices.IndexFunc(table, func(s Setting) bool { return strings.HasPrefix(s.Key, group+".") })
	if i < 0 {
		return "", false
	}
	return table[i].Key, true
}

// MarkdownTable is the settings table of the README.
func MarkdownTable() string {
	var b strings.Builder
	b.WriteString("| setting | default | allowed | what it is |\n|---|---|---|---|\n")
	for _, s := range table {
		def := ""
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Key, def, s.Allowed, s.Help)
	}
	return b.String()
}
