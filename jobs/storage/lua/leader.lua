-- leader: takes or renews the leader lock of maintenance for one worker process.
-- KEYS
--   leader
-- ARGV
--   worker
--   ttl_ms
-- returns  1: this worker is the leader
--          0: another worker is
-- Safe to send again.
local holder = redis.call('GET', leader)
if holder and holder ~= worker then
  return 0
end
redis.call('SET', leader, worker, 'PX', ttl_ms)
return 1
