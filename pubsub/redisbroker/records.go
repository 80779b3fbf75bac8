package redisbroker

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"comet/pubsub"
)

var _ pubsub.RecordStore = (*Broker)(nil)

// recordFieldPrefix distinguishes a field of a record from its version, see record.lua.
const recordFieldPrefix = ":"

// LoadRecord implements pubsub.RecordStore.
func (b *Broker) LoadRecord(ctx context.Context, key string) (pubsub.Record, error) {
	ctx, end, err := b.startCall(ctx)
	if err != nil {
		return pubsub.Record{}, err
	}
	defer end()
	keys := []string{b.keys.record(key)}
	cmd, _ := b.call(ctx, keys[0], func(p *primary, asking bool) redis.Cmder {
		if !asking {
			return p.shared.script(ctx, recordReadScript, keys, nil, 0)
		}
		cmd, _ := recordReadScript.inPipeline(ctx, p.client, keys, nil, around{asking: true})
		return cmd
	})
	words, err := cmd.(*redis.Cmd).StringSlice()
	if err != nil {
		err = readError(err)
		b.errorCounts.count(ToRecord, err)
		return pubsub.Record{}, fmt.Errorf("read record: %w", err)
	}
	return decodeRecord(words)
}

// decodeRecord decodes the names and values of a record's hash.
func decodeRecord(words []string) (r pubsub.Record, err error) {
	if len(words) == 0 {
		return r, nil
	}
	r.Fields = make(map[string]string, len(words)/2-1)
	for i := 0; i+1 < len(words); i += 2 {
		if name, ok := strings.CutPrefix(words[i], recordFieldPrefix); ok {
			r.Fields[name] = words[i+1]
		} else if words[i] == "version" {
			r.Version, err = strconv.ParseUint(words[i+1], 10, 64)
		}
	}
	if err != nil || r.Version == 0 {
		return pubsub.Record{}, fmt.Errorf("read record: %w: it has no version", pubsub.ErrUnreadable)
	}
	return r, nil
}

// ChangeRecord implements pubsub.RecordStore. With Options.MinReplicas it waits for
// replicas, as Publish does.
func (b *Broker) ChangeRecord(ctx context.Context, key string, c pubsub.RecordChange) (version uint64, err error) {
	ctx, end, err := b.startCall(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	keys := []string{b.keys.record(key)}
	args, size := recordArgs(&c)
	var wait *redis.Cmd
	cmd, _ := b.call(ctx, keys[0], func(p *primary, asking bool) redis.Cmder {
		if !asking && b.options.MinReplicas == 0 {
			return p.shared.script(ctx, recordScript, keys, args, size)
		}
		var cmd *redis.Cmd
		cmd, wait = recordScript.inPipeline(ctx, p.client, keys, args,
			around{asking: asking, replicas: b.options.MinReplicas, patience: b.waitFor()})
		return cmd
	})
	answer, err := cmd.(*redis.Cmd).Int64()
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"):
		err = readError(err)
	case err != nil:
		err = publishError(err)
	case answer < 0:
		return 0, pubsub.ErrRecordChanged
	default:
		err = b.reached(wait)
	}
	if err != nil {
		b.errorCounts.count(ToRecord, err)
		return 0, fmt.Errorf("change record: %w", err)
	}
	return uint64(answer), nil
}

// recordArgs returns the ARGV of record.lua, and about how many bytes they have.
func recordArgs(c *pubsub.RecordChange) (args []any, size int) {
	args = make([]any, 0, 3+len(c.Remove)+2*len(c.Set))
	args = append(args, strconv.FormatUint(c.Version, 10), max(0, c.TTL.Milliseconds()), len(c.Remove))
	for _, name := range c.Remove {
		args = append(args, recordFieldPrefix+name)
	}
	for name, value := range c.Set {
		args = append(args, recordFieldPrefix+name, value)
		size += len(name) + len(value)
	}
	return args, size
}
