-- finalize(record, state, meta, events, fields): the part that every final write shares. The last event is the final
-- one.
-- record: the FINALIZED_FIELDS of the job. fields: field, value, ... that are added to it.
-- Needs clock, count, version, log, dispatch and tenant_index. The caller has checked that the move is legal.
-- A script that includes it takes these first:
-- KEYS
--   job                the record
--   request
--   log                the event log
--   attempts           the failed attempts
--   result             the answer in Celery's format; also the channel on which Celery waits for it
--   final_index        the index of the final state
--   expiry
--   totals
--   minute             the counts of the current minute
--   queued_index
--   in_progress_index
--   waiting
--   deadlines
--   bytes              the size of the requests of all jobs that have not ended
-- ARGV
--   id
--   result_ttl         s; the record's own `result_ttl` wins
--   events_ttl         s; the record's own `events_ttl` wins
--   large_request_ttl  s; of the request, if it has more than LARGE_REQUEST bytes
--   channel            where the job's events are published
--   used_tokens        by this attempt; '' if unknown
local FINALIZED_FIELDS = {'result_ttl', 'events_ttl', 'seq', 'state', 'target', 'tokens', 'most_tokens',
  'started_at_ms', 'request_bytes', 'retry_at_ms', 'version', 'kind', 'tenant'}
local LARGE_REQUEST = 1024 * 1024 -- bytes: text alone is hardly ever that long, images are

local function ttl_or(own_ttl, default)
  return own_ttl and own_ttl:match('^%d+$') and #own_ttl <= 9 and tonumber(own_ttl) > 0 and own_ttl or default
end

-- leave_queue(record, state, now): the job leaves its call, or its line or message, and what it held is free again.
local function leave_queue(record, state, now)
  redis.call('ZREM', deadlines, id)
  redis.call('ZREM', leases, id)
  redis.call('ZREM', in_progress_index, id)
  if record.state == 'in_progress' then -- its claim has removed it from the other indexes
    if record.target then
      local succeeded = state == 'completed' or state == 'incomplete'
      end_call(record, tonumber(used_tokens), succeeded, now)
    end
    return
  end
  redis.call('ZREM', queued_index, id)
  redis.call('ZREM', waiting, id)
  local is_published = redis.call('ZREM', messages, id) + redis.call('ZREM', messages_high, id) > 0
  if record.state == 'queued' and not is_published then
    lines().leave(id, lines().place_of(job))
  end
  if record.target then
    cancel_reservation(record.target, record.tokens)
  end
end

local function finalize(record, state, meta, events, fields)
  local now = now_ms()
  local keep_result = ttl_or(record.result_ttl, result_ttl)
  local keep_events = ttl_or(record.events_ttl, events_ttl)

  local log_length = write_log(log, channel, 'final', events)
  redis.call('HSET', job, 'state', state, 'finished_at_ms', now, 'log_length', log_length,
    'version', version_after(record.version), unpack(fields))
  if record.retry_at_ms then
    redis.call('HDEL', job, 'retry_at_ms')
  end

  leave_queue(record, state, now)
  local order = is_number(record.seq) and record.seq or 0
  redis.call('ZADD', final_index, order, id)
  move_in_index(record.tenant, id, order, state)
  redis.call('ZADD', expiry, now + keep_result * 1000, id)

  local size = is_number(record.request_bytes) and tonumber(record.request_bytes) or 0 -- none: of the previous version
  local is_large = size > LARGE_REQUEST
  redis.call('EXPIRE', log, keep_events)
  redis.call('EXPIRE', job, keep_result)
  redis.call('EXPIRE', request, is_large and math.min(keep_result, large_request_ttl) or keep_result)
  redis.call('EXPIRE', attempts, keep_result)
  redis.call('SET', result, meta, 'EX', keep_result)
  redis.pcall('HINCRBY', bytes, 'requests', -size) -- what is damaged is counted again by the audit
  add_bytes(record.tenant, 'requests', -size)
  count(totals, minute, state, record.kind)
  redis.call('PUBLISH', result, meta)
  dispatch()
end
