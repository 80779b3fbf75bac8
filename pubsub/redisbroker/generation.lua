-- The generation of this primary: the first 20 bits of its replication ID,
-- never 0. Asked for in the script itself, so that it is the generation that
-- takes the message even if the primary was demoted and promoted again while
-- the connection stayed open.
local function generation()
	local id = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x%x%x%x%x)')
	local gen = tonumber(id, 16)
	if gen == 0 then
		return 1
	end
	return gen
end
