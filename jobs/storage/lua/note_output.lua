-- note_output: the call that tries whether a provider is back has brought its first output: so it is.
-- include: clock record fair_clock rate_ring lines governor publish dispatch
-- KEYS
--   job      the record of the job whose call it is
-- ARGV
--   target
-- returns  nothing
-- Safe to send again.
local started = tonumber(redis.call('HGET', job, 'started_at_ms') or nil) or 0
each_part(target, function(name)
  note_answer(name, true, started)
end)
dispatch()
