-- Calls what publish.lua, read.lua, hold.lua and members.lua call, to no effect,
-- so that what the user may not do shows at the start. (HSET has some effect
-- always.)
-- KEYS[1]  a key that is never there
-- ARGV[1]  PUBLISH, or SPUBLISH on Redis Cluster
-- ARGV[2]  a pub/sub channel in the key's slot that nobody listens to
redis.call('TIME')
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
redis.call('ZRANGEBYLEX', KEYS[1], '-', '+', 'LIMIT', 0, 1)
redis.call('ZREM', KEYS[1], '')
redis.call('DEL', KEYS[1])
redis.call(ARGV[1], ARGV[2], '')
return generation()
