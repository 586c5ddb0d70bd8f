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
-- Not safe to send again, see begin_call.
end_call(target, tokens, started_ms, tonumber(used_tokens), now_ms())
if succeeded == '1' then
  note_success(target)
end
