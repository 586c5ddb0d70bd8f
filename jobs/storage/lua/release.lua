-- release: puts a job in progress back into the queue, for its next attempt now or later.
-- include: clock record count log version fair_clock rate_ring lines governor publish dispatch tenant_index
-- KEYS
--   job                the record
--   log                the event log
--   attempts           the failed attempts
--   in_progress_index
--   queued_index
--   waiting
--   deadlines
--   totals
--   minute             the counts of the current minute
-- ARGV
--   id
--   token              fencing token of the lease
--   wait_ms            before the next attempt; 0: the job enters its line now
--   ending             how the attempt ended; it is counted under this name
--                      'failures': with an error
--                      'worker_losses': with its worker; recovery releases the job once the lease has expired
--                      'waits': through no fault of the job: the provider is away or refuses for now
--                      'refund': the worker stops, and the attempt does not count
--                      'put_back': the worker cannot run the job, and the attempt never began
--   attempt            entry for the failed attempts; '' for none
--   channel            where the job's events are published
--   error_code
--   log_length         length of the log before these events; '' when the caller does not know it
--   events...
--   fields...          field, value, ... of the record
-- returns  {released, time of the next attempt in ms}
--          {behind, length of the log}: nothing was written; Redis has lost events after that length
--          {fenced}: nothing was written; the lease is lost (for recovery: it is not)
-- Safe to send again.
local limits = {'start_by_ms', 'deadline_ms', 'cancel_at_ms'}
local record = read_record(job, 'state', 'token', 'seq', 'retry_at_ms', 'started_before_ms', 'started_at_ms', 'target',
  'tokens', 'pool', 'kind', 'tenant', unpack(limits))
if record.token ~= token then
  return {'fenced'}
end
if record.state ~= 'in_progress' then
  return record.state == 'queued' and {'released', record.retry_at_ms or '0'} or {'fenced'}
end
local now = now_ms()
if ending == 'worker_losses' and tonumber(redis.call('ZSCORE', leases, id) or 0) > now then
  return {'fenced'}
end
local new_events, length = unwritten(log, log_length, events)
if not new_events then
  return {'behind', length}
end

-- The time of the attempt before, if any; without one the job must still start in time.
local function undo_start()
  if record.started_before_ms then
    redis.call('HSET', job, 'started_at_ms', record.started_before_ms)
    return
  end
  redis.call('HDEL', job, 'started_at_ms')
  local first_limit
  for _, limit in ipairs(limits) do
    if is_number(record[limit]) then
      first_limit = math.min(first_limit or math.huge, record[limit])
    end
  end
  if first_limit then
    redis.call('ZADD', deadlines, first_limit, id)
  end
end

redis.call('HSET', job, 'state', 'queued', 'error_code', error_code)
if ending == 'refund' or ending == 'put_back' then
  redis.pcall('HINCRBY', job, 'attempts', -1) -- a damaged count stays as it is
else
  redis.pcall('HINCRBY', job, ending, 1)
end
if ending == 'put_back' then
  undo_start()
end
next_version(job)
if record.target then
  end_call(record, nil, false, now)
end
redis.call('HDEL', job, 'owner', 'target', 'tokens')
if #fields > 0 then
  redis.call('HSET', job, unpack(fields))
end
redis.call('ZREM', in_progress_index, id)
redis.call('ZREM', leases, id)
local order = is_number(record.seq) and record.seq or 0
redis.call('ZADD', queued_index, order, id)
move_in_index(record.tenant, id, order, 'queued')
if attempt ~= '' then
  redis.call('RPUSH', attempts, attempt)
  redis.call('LTRIM', attempts, -100, -1) -- a job may wait for its provider any number of times
end
write_log(log, channel, 'more', new_events)
count(totals, minute, ending, record.kind)

local retry_at = string.format('%.0f', now + wait_ms)
if tonumber(wait_ms) > 0 then
  redis.call('HSET', job, 'retry_at_ms', retry_at)
  redis.call('ZADD', waiting, retry_at, id)
  dispatch()
else
  queue_up(id, job, record.pool)
end
return {'released', retry_at}
