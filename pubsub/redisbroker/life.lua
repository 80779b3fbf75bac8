-- Which generations belong to this primary's life, and since when it lives, see
-- lives.
-- KEYS[1]  what nodes have seen, which expires when none has asked for ARGV[1]
--          ms; left out where there is no slot for it. A hash of generation to
--          life, and of "since " and life to a time
-- Returns {generation now, run_id, master_replid2, all of the same life, ms since
-- the epoch}. A process that took over from another lives since it was first
-- seen; one that did not, since it was started.
local info = redis.call('INFO', 'server', 'replication')
local gen = generation()
local process, before = string.match(info, 'run_id:(%w+)'), string.match(info, 'master_replid2:(%w+)')
local clock = redis.call('TIME')
local since = clock[1] * 1000 + math.floor(clock[2] / 1000)
if string.match(before, '^0+$') then
	since = since - 1000 * string.match(info, 'uptime_in_seconds:(%d+)')
end
local same = {gen}
if KEYS[1] then
	local life = process .. ' ' .. before
	local seen = redis.call('HGETALL', KEYS[1])
	for i = 1, #seen, 2 do
		local field, value = seen[i], seen[i + 1]
		if value == life then
			same[#same + 1] = tonumber(field)
		elseif field == 'since ' .. life then
			since = math.min(since, tonumber(value))
		elseif string.find(field .. value, process, 1, true) then
			redis.pcall('HDEL', KEYS[1], field) -- it does not come back
		end
	end
	-- Without memory left this fails, and a failover more may be told.
	redis.pcall('HSET', KEYS[1], gen, life, 'since ' .. life, string.format('%.0f', since))
	redis.pcall('PEXPIRE', KEYS[1], ARGV[1])
end
return {gen, process, before, same, since}
