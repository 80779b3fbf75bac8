-- current_epoch returns the epoch of this primary: the first 20 bits of its replication
-- ID, never 0. Each script asks for it itself. So a message gets the epoch in which it is
-- appended, even if the primary was demoted and promoted while the connection stayed
-- open. On a replica it fails: a replica has no epoch, and while it loads its data, logs
-- seem to be gone.
local function current_epoch()
	local info = redis.call('INFO', 'replication')
	-- A search for plain text costs a tenth of a search for a pattern.
	local at = string.find(info, 'role:', 1, true)
	if string.sub(info, at + 5, at + 9) == 'slave' then
		error({err = 'READONLY it is a replica'})
	end
	at = string.find(info, 'master_replid:', 1, true)
	local epoch = tonumber(string.sub(info, at + 14, at + 18), 16)
	if epoch == 0 then
		return 1
	end
	return epoch
end
