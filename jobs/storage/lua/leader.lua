-- leader: takes or renews a lock for one worker process: the lock of the leader of maintenance, or of a chunk table.
-- KEYS
--   leader     the lock
-- ARGV
--   worker
--   ttl_ms
-- returns  1: this worker has the lock
--          0: another worker has it
-- Safe to send again.
local holder = redis.call('GET', leader)
if holder and holder ~= worker then
  return 0
end
redis.call('SET', leader, worker, 'PX', ttl_ms)
return 1
