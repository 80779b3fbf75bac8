-- Reads a record, see record.lua.
-- KEYS[1]  the record
-- Returns all names and values of the hash. On a replica it fails, as a record there may
-- be out of date.
current_epoch()
return redis.call('HGETALL', KEYS[1])
