-- append: adds events to the log of a running attempt.
-- include: clock record version log
-- KEYS
--   job         the record
--   log         the event log
-- ARGV
--   token       fencing token of the lease
--   log_length  length of the log before these events
--   usage       usage of this attempt so far
--   progress    pages done and pages; '' for work without progress
--   channel     where the job's events are published
--   events...
-- returns  {appended, length of the log}
--          {behind, length of the log}: nothing was written; Redis has lost events after that length
--          {fenced}: nothing was written; the lease is lost
-- Safe to send again: events that the log contains already are skipped.
local state, current_token, version = unpack(redis.call('HMGET', job, 'state', 'token', 'version'))
if state ~= 'in_progress' or current_token ~= token then
  return {'fenced'}
end
local new_events, length = unwritten(log, log_length, events)
if not new_events then
  return {'behind', length}
end
if #new_events == 0 then
  return {'appended', redis.call('LLEN', log)}
end

redis.call('HSET', job, 'usage', usage, 'output_at_ms', now_ms(), 'version', version_after(version))
if progress ~= '' then
  redis.call('HSET', job, 'progress', progress)
end
return {'appended', write_log(log, channel, 'more', new_events)}
