-- claim: take a queued job under a lease and a new fencing token.
-- include: clock
-- KEYS  1 job  2 request  3 events  4 index:queued  5 index:in_progress  6 leases  7 waiting  8 bells
--       9 bells:front
-- ARGV  1 id  2 claim (unique to this call)  3 owner  4 lease, ms  5 channel
-- answers  {claimed, token, attempt, max_attempts, created_at_ms, log length, request}
--          {gone}: no such job  {final}  {busy}: another attempt runs  {early}: its next attempt is not due
-- Safe to send again: the same claim gets the same lease.
local record = redis.call('HMGET', KEYS[1], 'state', 'token', 'attempts', 'max_attempts', 'created_at_ms',
  'retry_at_ms', 'claim', 'log_start', 'seq')
local state = record[1]
if not state then
  return {'gone'}
end
if state == 'in_progress' and record[7] == ARGV[2] then
  return {'claimed', record[2], record[3], record[4], record[5], record[8], redis.call('GET', KEYS[2])}
end
if state == 'in_progress' then
  return {'busy'}
end
if state ~= 'queued' then
  return {'final'}
end
local now = now_ms()
if record[6] and tonumber(record[6]) > now then
  return {'early'}
end

local token, attempt = record[2] + 1, record[3] + 1
local log_start = redis.call('RPUSH', KEYS[3], cjson.encode({type = 'in_progress', attempt = attempt}))
redis.call('HSET', KEYS[1], 'state', 'in_progress', 'token', token, 'attempts', attempt, 'claim', ARGV[2],
  'owner', ARGV[3], 'started_at_ms', now, 'output_events', 0, 'log_start', log_start)
redis.call('HDEL', KEYS[1], 'retry_at_ms', 'error_code')
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[5], record[9], ARGV[1])
redis.call('ZADD', KEYS[6], now + ARGV[4], ARGV[1])
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('ZREM', KEYS[8], ARGV[1])
redis.call('ZREM', KEYS[9], ARGV[1])
redis.call('PUBLISH', ARGV[5], log_start)
return {'claimed', token, attempt, record[4], record[5], log_start, redis.call('GET', KEYS[2])}
