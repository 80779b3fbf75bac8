package redisbroker

import (
	"context"
	"runtime"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// connect makes the topology. It opens no connection.
func connect(o Options) (topology, error) {
	switch {
	case o.Master != "":
		return newSentinels(o), nil
	case o.Cluster || len(o.Addresses) > 1:
		return newCluster(o), nil
	}
	return newSingle(o), nil
}

// clientOptions are those of a client of one server.
func (o *Options) clientOptions(address string, d *dialer) *redis.Options {
	return &redis.Options{
		Addr:                       address,
		CredentialsProviderContext: o.credentials,
		DB:                         o.DB,
		ClientName:                 "comet",

		Dialer:                d.dial,
		DialTimeout:           d.timeout,
		DialerRetries:         dialAttempts,
		DialerRetryTimeout:    o.Timeout / 30,
		ReadTimeout:           o.Timeout,
		WriteTimeout:          o.Timeout,
		ContextTimeoutEnabled: true,
		PoolSize:              o.poolSize(),
		// A publish must never be sent twice, or it could be delivered twice. Reads are
		// repeated by their callers.
		MaxRetries: -1,
		// Redis Enterprise announces hand-overs, at which go-redis replaces the relay's
		// connection without notice, see pubsubConn.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// poolSize returns the maximum number of connections to a primary, without the
// relay's. It is smaller for a Redis Cluster, which has several primaries.
func (o *Options) poolSize() int {
	if o.Cluster || len(o.Addresses) > 1 && o.Master == "" {
		return 5 * runtime.GOMAXPROCS(0)
	}
	return 10 * runtime.GOMAXPROCS(0)
}

// credentials is called for each new connection, so that a password may change while
// the broker runs.
func (o *Options) credentials(context.Context) (username, password string, err error) {
	if o.Password != nil {
		password, err = o.Password()
	}
	return o.Username, password, err
}
