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

if takes_jobs == '1' then
  redis.call('ZADD', takers, now + lease_ms, worker)
else
  redis.call('ZREM', takers, worker)
end
redis.call('ZREMRANGEBYSCORE', takers, '-inf', now)
redis.call('PEXPIRE', takers, lease_ms)

-- The slots of all takers. A worker of the previous version sends its slots in its status only.
local slots_of = namespace .. 'slots-of'
local function sum_slots()
  redis.call('DEL', slots_of)
  local total = 0
  for _, name in ipairs(redis.call('ZRANGE', takers, 0, -1)) do
    local is_readable, report = pcall(cjson.decode, redis.call('HGET', statuses, name) or '')
    local own = is_readable and type(report) == 'table' and tonumber(report.slots) or 0
    redis.call('HSET', slots_of, name, name == worker and slots or own)
    total = total + (name == worker and slots or own)
  end
  redis.call('HSET', window, 'slots', total)
end

local own_slots = takes_jobs == '1' and slots or false
local has_changed = redis.call('HGET', slots_of, worker) ~= own_slots
  or redis.call('HLEN', slots_of) ~= redis.call('ZCARD', takers)
if has_changed then
  sum_slots()
end
redis.call('PEXPIRE', slots_of, lease_ms)
redis.call('HSET', window, 'slots_until_ms', string.format('%.0f', now + lease_ms), 'ahead', ahead,
  'batch_share', batch_share, 'message', message)
dispatch()
