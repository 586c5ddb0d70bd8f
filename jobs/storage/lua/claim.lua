-- claim: take a queued job under a lease and a new fencing token.
-- include: clock log
-- KEYS  1 job  2 request  3 events  4 index:queued  5 index:in_progress  6 leases  7 waiting
--       8 messages  9 the latest claimed of that priority  10 messages:high  11 the latest claimed of that priority  12 deadlines
-- ARGV  1 id  2 claim (unique to this call)  3 owner  4 lease, ms  5 channel
-- answers  {claimed, token, attempt, log length, failures, worker_losses, max_attempts, time to the deadline in ms, request}
--          {gone}: no such job  {final}  {busy}: another attempt runs  {early}: its next attempt is not due
--          {late}: one of its time limits has passed; recovery ends it
-- Safe to send again: the same claim gets the same lease.
local record = redis.call('HMGET', KEYS[1], 'state', 'token', 'attempts', 'log_start', 'failures', 'worker_losses',
  'max_attempts', 'deadline_ms', 'retry_at_ms', 'claim', 'seq', 'started_at_ms', 'start_by_ms', 'cancel_at_ms')
local state = record[1]
if not state then
  return {'gone'}
end
local now = now_ms()
local function claimed(token, attempt, log_start)
  return {'claimed', token, attempt, log_start, record[5] or 0, record[6] or 0, record[7], record[8] - now,
    redis.call('GET', KEYS[2])}
end
if state == 'in_progress' then
  return record[10] == ARGV[2] and claimed(record[2], record[3], record[4]) or {'busy'}
end
if state ~= 'queued' then
  return {'final'}
end
if record[9] and tonumber(record[9]) > now then
  return {'early'}
end
local end_by = math.min(record[8], record[14] or record[8])
local start_by = not record[12] and record[13] or end_by
if math.min(end_by, start_by) <= now then
  return {'late'}
end

for i = 8, 10, 2 do
  local order = tonumber(redis.call('ZSCORE', KEYS[i], ARGV[1]) or 0)
  if order > tonumber(redis.call('GET', KEYS[i + 1]) or 0) then
    redis.call('SET', KEYS[i + 1], string.format('%.0f', order))
  end
  redis.call('ZREM', KEYS[i], ARGV[1])
end
-- Of the clock too: where a host lost its last writes, a claim that they held must not share its token with this one.
local token, attempt = math.max(record[2] + 1, now), record[3] + 1
local log_start = write_log(KEYS[3], ARGV[5], 'more', {'{"type":"in_progress","attempt":' .. attempt .. '}'})
redis.call('HSET', KEYS[1], 'state', 'in_progress', 'token', token, 'attempts', attempt, 'claim', ARGV[2],
  'owner', ARGV[3], 'started_at_ms', now, 'log_start', log_start)
redis.call('HDEL', KEYS[1], 'retry_at_ms', 'error_code', 'usage')
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[5], record[11], ARGV[1])
redis.call('ZADD', KEYS[6], now + ARGV[4], ARGV[1])
redis.call('ZREM', KEYS[7], ARGV[1])
if not record[12] and record[13] then
  redis.call('ZADD', KEYS[12], end_by, ARGV[1])
end
return claimed(token, attempt, log_start)
