-- report_worker: a worker's status. Removes the statuses of workers that have been silent for a minute, and publishes
-- jobs for slots that have become free.
-- include: clock record fair_clock rate_ring lines governor publish dispatch
-- KEYS
--   workers
--   statuses
--   takers      expires when no worker has taken jobs for the length of a lease
-- ARGV
--   worker
--   status      JSON
--   takes_jobs  1 or 0
--   slots
--   ahead        jobs to publish beyond the free slots; -1: a tenth of the slots, from 1 to 16
--   batch_share  of the starts, for the batch lane while interactive jobs wait; 0: only when none waits
--   message      template of the Celery message; '' when another broker carries the messages
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

local takes = takes_jobs == '1'
local function note_taker(index)
  if takes then
    redis.call('ZADD', index, now + lease_ms, worker)
  else
    redis.call('ZREM', index, worker)
  end
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
  redis.call('PEXPIRE', index, lease_ms)
end

-- The takers that dispatch, and their slots: all but those of the previous version.
local dispatchers, slots_of = namespace .. 'dispatchers', namespace .. 'slots-of'
note_taker(takers)
note_taker(dispatchers)

local function sum_slots()
  local names, total = redis.call('ZRANGE', dispatchers, 0, -1), 0
  local reported = #names > 0 and redis.call('HMGET', slots_of, unpack(names)) or {}
  redis.call('DEL', slots_of)
  for i, name in ipairs(names) do
    local own = tonumber(name == worker and slots or reported[i] or nil) or 0
    redis.call('HSET', slots_of, name, own)
    total = total + own
  end
  redis.call('HSET', window, 'slots', total)
end

local has_changed = redis.call('HGET', slots_of, worker) ~= (takes and slots)
  or redis.call('HLEN', slots_of) ~= redis.call('ZCARD', dispatchers)
if has_changed then
  sum_slots()
end
redis.call('PEXPIRE', slots_of, lease_ms)
redis.call('HSET', window, 'slots_until_ms', string.format('%.0f', now + lease_ms), 'others',
  redis.call('ZCARD', takers) - redis.call('ZCARD', dispatchers), 'ahead', ahead, 'batch_share', batch_share,
  'message', message)
dispatch()
