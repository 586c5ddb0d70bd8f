-- pool_stats: how many jobs wait in the lines of each pool and lane, and for what.
-- include: clock record lines
-- KEYS
--   namespace   prefix of the keys of lines and pools
-- ARGV
--   limit       maximum number of pools of a lane
-- returns  a list of {pool, lane, waiting jobs, reason, ms until which it is closed or -1}; 'slot' for an open pool
-- Safe to send again: it only reads.
local found, now, line = {}, now_ms(), lines()
for _, lane in ipairs(LANES) do
  local pools = redis.call('ZRANGE', pools_key(lane), 0, limit - 1, 'WITHSCORES')
  for i = 1, #pools, 2 do
    local pool, opens_at_ms = pools[i], tonumber(pools[i + 1])
    local waiting = tonumber(redis.call('HGET', line.queued_key(lane), pool) or 0)
    found[#found + 1] = {pool, lane, waiting, wait_of(pool, opens_at_ms, now)}
  end
end
return found
