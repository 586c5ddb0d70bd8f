-- report_worker: a worker's status. Removes the statuses of workers that have been silent for a minute.
-- include: clock
-- KEYS
--   workers
--   statuses
--   takers      expires when no worker has taken jobs for the length of a lease
-- ARGV
--   worker
--   status      JSON
--   takes_jobs  1 or 0
--   lease_ms
-- returns  nothing
-- Safe to send again.
local now = now_ms()
redis.call('ZADD', workers, now, worker)
redis.call('HSET', statuses, worker, status)

local silent = redis.call('ZRANGEBYSCORE', workers, '-inf', now - 60000)
for _, name in ipairs(silent) do
  redis.call('ZREM', workers, name)
  redis.call('HDEL', statuses, name)
end

if takes_jobs == '1' then
  redis.call('ZADD', takers, now + lease_ms, worker)
else
  redis.call('ZREM', takers, worker)
end
redis.call('ZREMRANGEBYSCORE', takers, '-inf', now)
redis.call('PEXPIRE', takers, lease_ms)
