-- Calls every command of the other scripts, without effect, so that a missing permission
-- shows at the start. HSET is left out: it always writes.
-- KEYS[1]  a key that never exists
-- ARGV[1]  PUBLISH, or SPUBLISH on Redis Cluster
-- ARGV[2]  a pub/sub channel in the key's slot, without subscribers
-- Returns the epoch.
redis.call('TIME')
redis.call('XLEN', KEYS[1])
redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
redis.call('XADD', KEYS[1], 'NOMKSTREAM', '*', 'a', 'b')
redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], '', 'XX')
redis.call('PEXPIRE', KEYS[1], 1)
redis.call('HGET', KEYS[1], '')
redis.call('HGETALL', KEYS[1])
redis.call('HLEN', KEYS[1])
redis.call('HMGET', KEYS[1], '')
redis.call('HDEL', KEYS[1], '')
redis.call('ZADD', KEYS[1], 'XX', 0, '')
redis.call('ZCARD', KEYS[1])
redis.call('ZRANGEBYSCORE', KEYS[1], 0, 0)
redis.call('ZRANGEBYLEX', KEYS[1], '-', '+', 'LIMIT', 0, 1)
redis.call('ZREM', KEYS[1], '')
redis.call('EXISTS', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call(ARGV[1], ARGV[2], '')
return current_epoch()
