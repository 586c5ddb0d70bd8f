-- claim: takes a queued job under a lease and a new fencing token.
-- A worker that cannot run the job puts it back uncounted: the job waits for another try, perhaps by a newer worker.
-- include: clock record log version fair_clock rate_ring lines governor publish dispatch tenant_index
-- KEYS
--   job                the record
--   request
--   log                the event log
--   queued_index
--   in_progress_index
--   waiting
--   claimed            the latest message of normal priority that led to a claim
--   claimed_high       the latest message of high priority that led to a claim
--   deadlines
-- ARGV
--   id
--   claim_id           unique to this call
--   owner              the worker process
--   lease_ms
--   channel            where the job's events are published
--   reader             identifies how this worker reads requests
--   put_back_ms        least wait of a job that this worker cannot run, with jitter
--   abilities...       the needs that this worker meets
-- returns  {claimed, token, attempt, log length, failures, worker losses, max attempts, ms to the deadline, request,
--           target, waits, is_too_large, is_probe, request id, age in ms}: the target is '' for a job that calls no
--          provider; is_too_large: 1 if the target's limit of tokens a minute is below what the job needs; is_probe: 1
--          if the call shows whether the provider is back
--          {gone}: there is no such job
--          {final}: the job has ended
--          {busy}: another attempt runs
--          {early}: the next attempt is not due, or the job's targets are closed and it is in its line again
--          {late}: a time limit of the job has passed; recovery ends the job
--          {unable, need...}: the job was put back, since this worker lacks these; 'request': it cannot read the
--          request, as another worker of its version has found; 'record': the record is damaged
-- Safe to send again: the same claim_id gets the same lease, renewed.
local REQUIRED, numbers = 5, {'token', 'attempts', 'max_attempts', 'deadline_ms', 'seq', -- a record may lack the others
  'log_start', 'failures', 'worker_losses', 'retry_at_ms', 'started_at_ms', 'start_by_ms', 'cancel_at_ms', 'waits'}
local unreadable_by = 'unreadable_by:' .. reader
local record = read_whole(job)
if not record.state then
  return {'gone'}
end

local now = now_ms()
local function claimed_answer(token, attempt, log_start, target, is_too_large, is_probe)
  local body = redis.pcall('GET', request)
  local is_wrong_type = type(body) == 'table' -- unreadable, like an empty text
  return {'claimed', token, attempt, log_start, record.failures or 0, record.worker_losses or 0, record.max_attempts,
    record.deadline_ms - now, is_wrong_type and '' or body, target or '', record.waits or 0, is_too_large and 1 or 0,
    is_probe and 1 or 0, record.request_id or '', now - (tonumber(record.created_at_ms) or now)}
end

if record.state == 'in_progress' then
  if record.claim ~= claim_id then
    return {'busy'}
  end
  redis.call('ZADD', leases, now + lease_ms, id) -- its worker does not know the lease yet, and cannot renew it
  return claimed_answer(record.token, record.attempts, record.log_start, record.target, record.is_too_large)
end
if record.state ~= 'queued' then
  return {'final'}
end
if (tonumber(record.retry_at_ms) or 0) > now then
  return {'early'}
end

-- Returns whether the job had a message of this priority.
local function take_message_of(priority_messages, latest_claimed)
  local order = tonumber(redis.call('ZSCORE', priority_messages, id) or nil)
  if not order then
    return false
  end
  if order > tonumber(redis.call('GET', latest_claimed) or 0) then
    redis.call('SET', latest_claimed, string.format('%.0f', order))
  end
  redis.call('ZREM', priority_messages, id)
  return true
end

local function take_message()
  local had_normal, had_high = take_message_of(messages, claimed), take_message_of(messages_high, claimed_high)
  if not had_normal and not had_high then -- a surplus message
    lines().leave(id, lines().place_of(job))
  end
  if record.target then
    cancel_reservation(record.target, record.tokens)
    redis.call('HDEL', job, 'target', 'tokens')
  end
end

local function lacking()
  for i, field in ipairs(numbers) do
    if (i <= REQUIRED or record[field]) and not is_number(record[field]) then
      return {'record'}
    end
  end
  local able, missing = {}, {}
  for _, ability in ipairs(abilities) do
    able[ability] = true
  end
  for need in (record.needs or record.kind or ''):gmatch('%S+') do
    if not able[need] then
      missing[#missing + 1] = need
    end
  end
  return #missing == 0 and record[unreadable_by] and {'request'} or missing
end

-- From 10 minutes on the wait grows with the age of the job, up to six times: a deploy is over by then.
local missing = lacking()
if #missing > 0 then
  take_message()
  local age_ms = now - (tonumber(record.created_at_ms) or now)
  local wait_ms = put_back_ms * math.max(1, math.min(age_ms / 600000, 6))
  local retry_at = string.format('%.0f', now + wait_ms)
  redis.call('HSET', job, 'retry_at_ms', retry_at, 'error_code',
    missing[1] == 'request' and 'request_unreadable' or 'no_capable_worker')
  redis.call('ZADD', waiting, retry_at, id)
  next_version(job)
  dispatch()
  return {'unable', unpack(missing)}
end

local end_by = math.min(record.deadline_ms, record.cancel_at_ms or record.deadline_ms)
local start_by = not record.started_at_ms and record.start_by_ms or end_by
if math.min(end_by, start_by) <= now then
  return {'late'}
end

take_message()
local target, tokens, most_tokens, is_too_large, is_probe = unlimited_target(record.pool), nil, nil, false, false
if target then
  if target ~= '' then
    count_start(target, now)
  end
else
  local governor = targets()
  local choice, opens_at_ms, closed_reason = governor.choose(governor.as_request(record), now)
  if not choice then
    redis.call('ZREM', waiting, id)
    redis.call('HDEL', job, 'retry_at_ms')
    local place = lines().enter(id, lines().place_of(job))
    close_pool(place.pool, opens_at_ms, closed_reason)
    dispatch()
    return {'early'}
  end
  governor.take(choice, now)
  target, tokens, most_tokens = choice.target.name, choice.tokens, choice.most_tokens
  is_too_large, is_probe = governor.is_larger_than_limit(choice), governor.is_probe(choice)
end

-- At least the server's time: Redis may lose a claim in a crash of its host, and the next must not reuse its token.
local token, attempt = math.max(record.token + 1, now), record.attempts + 1
local log_start = write_log(log, channel, 'more', {'{"type":"in_progress","attempt":' .. attempt .. '}'})
if record.attempts ~= '0' or record.retry_at_ms or record.error_code then -- left by what happened before
  redis.call('ZREM', waiting, id)
  redis.call('HDEL', job, 'retry_at_ms', 'error_code', 'usage', 'output_at_ms', 'started_before_ms', 'is_too_large')
end
local written = {'state', 'in_progress', 'token', token, 'attempts', attempt, 'claim', claim_id, 'owner', owner,
  'started_at_ms', now, 'log_start', log_start, 'version', version_after(record.version)}
local function write(field, value)
  written[#written + 1], written[#written + 2] = field, value
end
if target ~= '' then
  write('target', target)
end
if tokens then
  write('tokens', tokens)
  write('most_tokens', most_tokens)
end
if is_too_large then
  write('is_too_large', 1)
end
if record.started_at_ms then
  write('started_before_ms', record.started_at_ms) -- for a release that undoes this attempt
end
redis.call('HSET', job, unpack(written))
redis.call('ZREM', queued_index, id)
redis.call('ZADD', in_progress_index, record.seq, id)
move_in_index(record.tenant, id, record.seq, 'in_progress')
redis.call('ZADD', leases, now + lease_ms, id)
if not record.started_at_ms and record.start_by_ms then
  redis.call('ZADD', deadlines, end_by, id)
end
return claimed_answer(token, attempt, log_start, target, is_too_large, is_probe)
