-- renew: the heartbeat of one worker process. Renews the leases that the process still holds.
-- include: clock
-- KEYS
--   leases
--   workers
--   jobs...    the record of each lease's job
-- ARGV
--   worker     '' for a process that only renews leases: another process takes its jobs
--   lease_ms
--   ids...     the job of each lease
--   tokens...  the fencing token of each lease
-- returns  the ids whose lease is lost: the job has ended, was deleted, or was claimed by another worker
-- Safe to send again.
local now = now_ms()
if worker ~= '' then
  redis.call('ZADD', workers, now, worker)
end

local lost = {}
for i, job in ipairs(jobs) do
  local state, token = unpack(redis.pcall('HMGET', job, 'state', 'token')) -- a record that is no hash has lost its lease
  if state == 'in_progress' and token == tokens[i] then
    redis.call('ZADD', leases, now + lease_ms, ids[i])
  else
    lost[#lost + 1] = ids[i]
  end
end
return lost
