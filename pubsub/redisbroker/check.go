package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

// minVersion is the oldest Redis on which the scripts run: they call INFO and then
// write.
const minVersion = 7

// RefusedError reports that Redis answers but cannot serve as the broker, and how
// to fix that. Trying again will not help.
type RefusedError struct {
	Message string
	Err     error // the answer of Redis, or nil
}

func (e *RefusedError) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return fmt.Sprintf("%s (redis said: %v)", e.Message, e.Err)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// Check checks that Redis has everything that the broker needs. The error is a
// *RefusedError, or wraps pubsub.ErrUnavailable if no primary answers. The broker
// keeps trying to connect in the latter case.
func (b *Broker) Check(ctx context.Context) error {
	ctx, end, err := b.startCall(ctx)
	if err != nil {
		return err
	}
	defer end()
	primaries, err := b.topology.all(ctx)
	if err != nil {
		return checkError(err)
	}
	for _, p := range primaries {
		info, err := p.client.Info(ctx, "server", "replication", "memory").Result()
		if err != nil {
			return checkError(err)
		}
		if factsOf(info)["role"] == "slave" { // a switch may be under way
			return readError(fmt.Errorf("%s: %w", p.address, errReplica))
		}
		if err := checkInfo(info, b.sharded()); err != nil {
			return err
		}
		b.warnOfEviction(p, info)
	}
	keys, args := []string{b.keys.check()}, []any{b.verb(), b.keys.check()}
	cmd, _ := b.callScript(ctx, checkScript, keys, args)
	return checkError(cmd.Err())
}

// warnOfEviction logs a warning if Redis may drop logs when its memory is full.
// Clients would get gaps.
func (b *Broker) warnOfEviction(p *primary, info string) {
	facts := factsOf(info)
	if policy := facts["maxmemory_policy"]; facts["maxmemory"] != "0" && policy != "noeviction" && policy != "" {
		b.logger.Warn("redis may evict messages when its memory is full; set its maxmemory-policy to noeviction",
			"address", p.address, "maxmemory-policy", policy)
	}
}

// aclRules are the ACL rules that Comet's user needs, except those for keys and channels.
var aclRules = []string{
	"+@read", "+@write", "+@pubsub", "+@scripting", "+@connection", "-@dangerous",
	"+info", "+time", "+cluster|slots", "+cluster|nodes",
}

// passing are error codes of a Redis that cannot serve at the moment, but may later.
var passing = []string{
	"LOADING", "BUSY", "OOM", "MISCONF", "NOREPLICAS", "READONLY", "MASTERDOWN",
	"CLUSTERDOWN", "MOVED", "ASK", "TRYAGAIN",
}

func checkError(err error) error {
	if err == nil {
		return nil
	}
	var answer redis.Error
	if !errors.As(err, &answer) {
		return readError(err)
	}
	text := answer.Error()
	code, _, _ := strings.Cut(text, " ")
	switch {
	case slices.Contains(passing, code), strings.HasPrefix(text, "ERR No such master"): // others may know it
		return readError(err)
	case strings.HasPrefix(text, "NOAUTH"):
		return &RefusedError{"it wants a password: set redis.password or redis.password_file", err}
	case strings.HasPrefix(text, "WRONGPASS"):
		return &RefusedError{"it does not accept redis.username and redis.password", err}
	case strings.HasPrefix(text, "NOPERM"), strings.Contains(text, "user executing the script can't"):
		return &RefusedError{"the user may not do what Comet needs: give it the ACL rules " + strings.Join(aclRules, " ") + " ~<redis.prefix>:* &<redis.prefix>:*", err}
	}
	return &RefusedError{"it refuses a command that Comet needs", err}
}

var infoLine = regexp.MustCompile(`(?m)^(redis_version|redis_mode|role|maxmemory|maxmemory_policy):([^\r\n]*)`)

func factsOf(info string) map[string]string {
	facts := make(map[string]string)
	for _, m := range infoLine.FindAllStringSubmatch(info, -1) {
		facts[m[1]] = m[2]
	}
	return facts
}

// checkInfo checks the answer to INFO. cluster reports whether a Redis Cluster is
// expected.
func checkInfo(info string, cluster bool) error {
	facts := factsOf(info)
	major, _, _ := strings.Cut(facts["redis_version"], ".")
	if n, err := strconv.Atoi(major); err == nil && n < minVersion {
		return &RefusedError{Message: fmt.Sprintf("it is version %s: Comet needs %d or newer", facts["redis_version"], minVersion)}
	}
	switch {
	case facts["redis_mode"] == "sentinel":
		return &RefusedError{Message: "it is a Sentinel: set redis.master to the name of the primary that it watches"}
	case facts["redis_mode"] == "cluster" && !cluster:
		return &RefusedError{Message: "it is a node of a Redis Cluster: set redis.cluster, or give two or more of the nodes in redis.addresses"}
	}
	return nil
}

var _ pubsub.Broker = (*Broker)(nil)
