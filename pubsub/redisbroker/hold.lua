-- Applies one pubsub.Lease and relays the joins and leaves that follow, all or nothing.
-- KEYS[1]  holders, a hash: 'epoch' to the time in µs at which this presence was created,
--          and each lease owner (16 digits) to '<expiry in ms> <version>'
-- KEYS[2]  members, a hash: user to '<number of owners> <since in ms> <Data of the message>'
-- KEYS[3]  order, a sorted set of the same users, for pages
-- KEYS[4]  held, a sorted set of '<owner><user>', to find the users of an expired lease
--          All four expire together, one lease after the last call.
-- ARGV[1]  PUBLISH, or SPUBLISH on Redis Cluster
-- ARGV[2]  the relay's pub/sub channel, see publish.lua
-- ARGV[3]  owner
-- ARGV[4]  version of the owner's lease
-- ARGV[5]  the creation time that the owner knows; 0 if it knows none
-- ARGV[6]  TTL of a lease, in ms
-- ARGV[7]  TTL of this lease if it is the owner's last, in ms, else 0
-- ARGV[8]  maximum number of members
-- ARGV[9]  maximum number of users to remove with expired leases
-- ARGV[10] number of joins, each three words: '1' if the owner knows it as joined, else
--          '0'; user; Data
-- ARGV[…]  the users that leave
-- Returns {creation time, epoch, 1 if the lease is unknown here, 1 if more leases have
-- expired, 1 if the relay was refused}.
local holders, members, order, held = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch = current_epoch()
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local holder, version, lease = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])

local refused = 0
local function tell(kind, data)
	local heard = redis.pcall(ARGV[1], ARGV[2], string.format('- %.0f %s\n', now, kind) .. data)
	if type(heard) == 'table' then -- not raised: what was written already would stay
		refused = 1
	end
end

local function enter(user, data, quiet)
	if redis.call('ZADD', held, 0, holder .. user) == 0 then
		return
	end
	local was = redis.call('HGET', members, user)
	if was then
		local n, rest = string.match(was, '^(%d+)(.*)$')
		redis.call('HSET', members, user, (n + 1) .. rest)
		return
	end
	if redis.call('ZCARD', order) >= tonumber(ARGV[8]) then
		redis.call('ZREM', held, holder .. user)
		return
	end
	redis.call('HSET', members, user, string.format('1 %.0f ', now) .. data)
	redis.call('ZADD', order, 0, user)
	if not quiet then
		tell('comet.join', data)
	end
end

local function leave(from, user)
	if redis.call('ZREM', held, from .. user) == 0 then
		return
	end
	local n, rest = string.match(redis.call('HGET', members, user), '^(%d+)(.*)$')
	if n ~= '1' then
		redis.call('HSET', members, user, (n - 1) .. rest)
		return
	end
	redis.call('HDEL', members, user)
	redis.call('ZREM', order, user)
	tell('comet.leave', string.match(rest, '^ %d+ (.*)$'))
end

local created = redis.call('HGET', holders, 'epoch')
local count = redis.call('HLEN', members)
local torn = count ~= redis.call('ZCARD', order) or (count == 0) ~= (redis.call('ZCARD', held) == 0)
if not created or torn then -- a new presence, or Redis evicted a part of it
	redis.call('DEL', holders, members, order, held)
	created = string.format('%.0f', time[1] * 1000000 + time[2])
	redis.call('HSET', holders, 'epoch', created)
end

local function keep()
	for i = 1, 4 do
		redis.call('PEXPIRE', KEYS[i], ARGV[6])
	end
end

local row = redis.call('HGET', holders, holder)
local seen = row and tonumber(string.match(row, ' (%d+)$')) or 0
if seen ~= version then
	keep()
	return {tonumber(created), epoch, 1, 0, 0}
end

local entering = tonumber(ARGV[10])
local quiet = ARGV[5] ~= '0' and ARGV[5] ~= created
for i = 11, 10 + 3 * entering, 3 do
	enter(ARGV[i + 1], ARGV[i + 2], quiet and ARGV[i] == '1')
end
for i = 11 + 3 * entering, #ARGV do
	leave(holder, ARGV[i])
end
local changes = #ARGV > 10
if row or changes then
	local left = ARGV[7] == '0' and lease or tonumber(ARGV[7])
	redis.call('HSET', holders, holder, string.format('%.0f %.0f', now + left, version + (changes and 1 or 0)))
end

local more, budget = 0, tonumber(ARGV[9])
if budget > 0 then
	local rows = redis.call('HGETALL', holders)
	for i = 1, #rows, 2 do
		local other = rows[i]
		local expiry, rest = string.match(rows[i + 1], '^(%d+)( %d+)$')
		expiry = tonumber(expiry) -- nil for the field 'epoch'
		if expiry and expiry > now + lease then -- the clock stepped back
			redis.call('HSET', holders, other, string.format('%.0f', now + lease) .. rest)
		elseif expiry and expiry < now and budget > 0 then
			local users = redis.call('ZRANGEBYLEX', held, '[' .. other, '(' .. other .. '\255', 'LIMIT', 0, budget)
			for _, user in ipairs(users) do
				leave(other, string.sub(user, #other + 1))
			end
			budget = budget - #users
			if budget > 0 then
				redis.call('HDEL', holders, other)
			else
				more = 1
			end
		elseif expiry and expiry < now then
			more = 1
		end
	end
end

keep()
return {tonumber(created), epoch, 0, more, refused}
