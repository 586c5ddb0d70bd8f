-- note_primary: remembers which server is the primary.
-- include: clock
-- KEYS
--   primary  hash: run_id, and since_ms, when it took the place of another; 0: it is the first
-- ARGV
--   run_id   of the server that runs this script; a restart changes it
-- returns  ms since this server took the place of another
-- Safe to send again.
local known, since = unpack(redis.call('HMGET', primary, 'run_id', 'since_ms'))
local now = now_ms()
if known == run_id then
  return now - since
end
since = known and now or 0
redis.call('HSET', primary, 'run_id', run_id, 'since_ms', since)
return now - since
