-- Changes a record (pubsub.RecordChange), if it has the version that the change is for.
-- KEYS[1]  the record, a hash: 'version' to a number, and each field, with a ':' before
--          its name, to its value
-- ARGV[1]  the version to change; 0: the record must not exist
-- ARGV[2]  TTL of the record, in ms; 0 removes it
-- ARGV[3]  number n of fields to remove
-- ARGV[…]  the n names, and then a name and a value for each field to set
-- Returns the new version; 0 if the record was removed, -1 if it has another version.
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] then
	return -1
end
if ARGV[2] == '0' then
	redis.call('DEL', KEYS[1])
	return 0
end
local n = tonumber(ARGV[3])
if n > 0 then
	redis.call('HDEL', KEYS[1], unpack(ARGV, 4, 3 + n))
end
local new = string.format('%.0f', tonumber(version) + 1)
redis.call('HSET', KEYS[1], 'version', new, unpack(ARGV, 4 + n))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return tonumber(new)
