-- Reads a part of a channel's log, as it is at one moment.
-- KEYS[1]  the log, a stream
-- ARGV[1]  'forward' or 'backward'
-- ARGV[2]  exclusive cursor; '0-0' is before the first and, backward, after the last message
-- ARGV[3]  how many messages at most
-- Returns {generation, ID of the newest message or '0-0', stream entries}; the
-- generation alone where the newest message is the cursor's, as nearly always
-- when a relay was lost and all channels are read.
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local finish = newest and newest[1] or '0-0'
local entries = {}
if ARGV[1] == 'forward' and ARGV[2] == finish then
	return generation()
end
if ARGV[3] ~= '0' and newest then
	if ARGV[1] == 'backward' then
		local from = ARGV[2] == '0-0' and '+' or '(' .. ARGV[2]
		entries = redis.call('XREVRANGE', KEYS[1], from, '-', 'COUNT', ARGV[3])
	else
		entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', ARGV[3])
	end
end
return {generation(), finish, entries}
