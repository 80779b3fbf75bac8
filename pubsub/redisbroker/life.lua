-- Which generations belong to this primary's life, see lives.
-- KEYS[1]  what nodes have seen, a hash of generation to life, which expires when
--          none has asked for ARGV[1] ms; left out on Redis Cluster
-- Returns {generation now, run_id, master_replid2, all of the same life}.
local info = redis.call('INFO', 'server', 'replication')
local gen = generation()
local process, before = string.match(info, 'run_id:(%w+)'), string.match(info, 'master_replid2:(%w+)')
local same = {gen}
if KEYS[1] then
	local life = process .. ' ' .. before
	local seen = redis.call('HGETALL', KEYS[1])
	for i = 1, #seen, 2 do
		if seen[i + 1] == life then
			same[#same + 1] = tonumber(seen[i])
		elseif string.sub(seen[i + 1], 1, #process) == process then
			redis.pcall('HDEL', KEYS[1], seen[i]) -- it does not come back
		end
	end
	-- Without memory left this fails, and a failover more may be told.
	redis.pcall('HSET', KEYS[1], gen, life)
	redis.pcall('PEXPIRE', KEYS[1], ARGV[1])
end
return {gen, process, before, same}
