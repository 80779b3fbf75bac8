package server

import (
	"log/slog"
	"testing"
	"time"

	"comet/config"
	"comet/pubsub"
	"comet/pubsub/redistest"
)

// A Redis that asks clients for a certificate gets the one of redis.tls.cert.
func TestRedisClientCertificate(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, redistest.TLS())
	redis.Do("CONFIG", "SET", "tls-auth-clients", "yes")
	_, ca := redis.TLS()
	cert, key := redis.ClientCertificate()
	for name, tls := range map[string]config.RedisTLS{
		"without": {Enabled: true, CA: ca},
		"with":    {Enabled: true, CA: ca, Cert: cert, Key: key},
	} {
		s := &config.Settings{}
		s.Redis = config.Redis{Addresses: []string{redis.Addr()}, TLS: tls, Timeout: 3 * time.Second, Prefix: "comet", Relays: 1}
		s.History = config.History{Size: 10, TTL: time.Hour}
		rules, err := newChannelRules(s)
		if err != nil {
			t.Fatal(err)
		}
		b, err := newRedisBroker(t.Context(), s, rules, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r := b.Publish(t.Context(), []pubsub.Draft{{Channel: "a", Type: pubsub.DefaultType, Data: []byte("1")}})[0]
		if (r.Err == nil) != (tls.Cert != "") {
			t.Errorf("%s a certificate: %v", name, r.Err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
