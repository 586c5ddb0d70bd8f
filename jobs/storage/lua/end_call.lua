-- end_call: a call counted by begin_call has ended.
-- include: clock record rate_ring lines governor
-- KEYS
--   namespace     prefix of the keys of targets and pools
-- ARGV
--   target
--   tokens        as reserved
--   started_ms
--   used_tokens   '' if unknown
--   succeeded     1 or 0
-- returns  nothing
-- Safe to send again, see begin_call.
local calls, call = namespace .. 'calls', target .. ' ' .. started_ms
if redis.call('HINCRBY', calls, call, -1) <= 0 then
  redis.call('HDEL', calls, call)
end
local ended = {target = target, tokens = tokens, started_at_ms = started_ms}
end_call(ended, tonumber(used_tokens), succeeded == '1', now_ms())
if not nobody_waits() then
  notify_leader(0) -- some may wait for the end of this call
end
