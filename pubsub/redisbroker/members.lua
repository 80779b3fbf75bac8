-- Reads a page of who is in a channel.
-- KEYS[1]  members, KEYS[2] order, as in hold.lua
-- ARGV[1]  the user behind whom to begin, or empty
-- ARGV[2]  how many at most
-- Returns {how many there are, 1 if some are behind the page, {user, value in members, …}}.
current_epoch() -- no replica
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
