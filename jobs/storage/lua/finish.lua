-- finish: the one guarded write that ends a job with its state, answer, last event, counts and index.
-- include: clock record count log version fair_clock rate_ring lines governor publish dispatch tenant_index finalize
-- KEYS  those of finalize
-- ARGV  those of finalize, then
--   token         fencing token of the lease
--   state         the final state
--   meta          the answer in Celery's format
--   attempt       entry for the failed attempts; '' for none
--   precondition  'holder': the holder of the lease ends the job
--                 'expired', 'queued': recovery ends it, since its lease has expired or while it is queued
--   log_length    length of the log before these events; '' when the caller does not know it
--   events...     the last one is the final event
--   fields...     field, value, ... of the record
-- returns  {finished}
--          {behind, length of the log}: nothing was written; Redis has lost events after that length
--          {fenced}: nothing was written; the precondition does not hold
-- Safe to send again: the caller that ended the job gets `finished` again.
local record = read_record(job, 'token', unpack(FINALIZED_FIELDS))
if record.token ~= token then
  return {'fenced'}
end
if record.state ~= (precondition == 'queued' and 'queued' or 'in_progress') then
  return {record.state == state and 'finished' or 'fenced'}
end
if precondition == 'expired' and tonumber(redis.call('ZSCORE', leases, id) or 0) > now_ms() then
  return {'fenced'}
end
local new_events, length = unwritten(log, log_length, events)
if not new_events then
  return {'behind', length}
end

if attempt ~= '' then
  redis.call('RPUSH', attempts, attempt)
end
finalize(record, state, meta, new_events, fields)
return {'finished'}
