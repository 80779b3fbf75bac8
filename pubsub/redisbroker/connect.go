package redisbroker

import (
	"context"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// connect makes the clients; none connects yet.
func connect(o Options) (topology, error) {
	u := &redis.UniversalOptions{
		Addrs:                      o.Addresses,
		MasterName:                 o.Master,
		CredentialsProviderContext: o.credentials,
		SentinelUsername:           o.SentinelUsername,
		SentinelPassword:           o.SentinelPassword,
		DB:                         o.DB,
		TLSConfig:                  o.TLS,
		ClientName:                 "comet",

		DialTimeout:           o.Timeout,
		ReadTimeout:           o.Timeout,
		WriteTimeout:          o.Timeout,
		ContextTimeoutEnabled: true,
		// A publish that was sent must never be sent again, or it could be
		// delivered twice; reads are repeated by who asked.
		MaxRetries: -1,
		// Hand-overs announced by Redis Enterprise would exchange the relay's
		// connection behind our back, see link.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	switch {
	case o.Master != "":
		return newSingle(o.Master, redis.NewFailoverClient(u.Failover()))
	case o.Cluster || len(o.Addresses) > 1:
		return newCluster(redis.NewClusterClient(u.Cluster()), o.Timeout), nil
	}
	return newSingle(o.Addresses[0], redis.NewClient(u.Simple()))
}

// credentials are asked for by each new connection, so that a password may
// change while the broker runs.
func (o *Options) credentials(context.Context) (username, password string, err error) {
	if o.Password != nil {
		password, err = o.Password()
	}
	return o.Username, password, err
}
