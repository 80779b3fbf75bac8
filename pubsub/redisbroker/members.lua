-- Reads a page of a channel's members.
-- KEYS[1]  members, see hold.lua
-- KEYS[2]  order, see hold.lua
-- ARGV[1]  the user after which the page starts, or empty
-- ARGV[2]  maximum number of members
-- Returns {number of members of the channel, 1 if there are more after the page, {user,
-- value in members, …}}.
current_epoch() -- fails on a replica
local limit = tonumber(ARGV[2])
local from = ARGV[1] == '' and '-' or '(' .. ARGV[1]
local users = redis.call('ZRANGEBYLEX', KEYS[2], from, '+', 'LIMIT', 0, limit + 1)
local more = 0
if #users > limit then
	more = 1
	users[#users] = nil
end
local page = {}
if #users > 0 then
	local values = redis.call('HMGET', KEYS[1], unpack(users))
	for i, user in ipairs(users) do
		page[2 * i - 1] = user
		page[2 * i] = values[i] or ''
	end
end
return {redis.call('ZCARD', KEYS[2]), more, page}
