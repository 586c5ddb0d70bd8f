-- create: write a new job down and publish its message, in one step.
-- include: clock count wait_estimate publish
-- KEYS  1 job  2 request  3 seq  4 index:all  5 index:queued  6 messages  7 broker list  8 totals  9 minute
--       10 deadlines  11 full  12 messages:high  13 the minute before
--       14 what leads to it, or makes it be created once, if anything does: see ARGV 8
-- ARGV  1 id  2 fingerprint of the request ('' without a key), or how often it has been sent before
--       3 TTL of KEYS 14, s  4 most jobs that may be queued
--       5 message ('' when another broker publishes)  6 request  7 time to the deadline, ms
--       8 'idempotency_key': KEYS 14 is the Idempotency-Key  'retry': it is the failed job that this one repeats
--         'resend': it lists the jobs of equal requests, which a client may send again  '': none of these
--       9 time until its first attempt must have begun, ms  10 time to its cancellation, ms ('' without them)
--       11 ms since the running minute began  12... field, value of the record
-- answers  {created, id, time of creation in ms, order of creation, position in line,
--           wait in ms or -1}
--          {existing, id}: the key, or the retry, has made that job before
--            or this request when it was sent before: of such jobs that nobody has come back to as often, and whose
--            call has not been answered, the one that was come back to least, and of several the latest
--          {conflict, id}: the key was used with another request  {gone, ''}: the failed job is not there any more
--          {full, depth}: nothing was written  {no_memory, ''}: nor here; recovery has seen Redis nearly full
-- Safe to send again: the same id is created once.
local function created(now, seq)
  local position = redis.call('ZCARD', KEYS[6]) - 1 + redis.call('ZCARD', KEYS[12])
  return {'created', ARGV[1], now, seq, position, estimate_wait_ms(position, {KEYS[9], KEYS[13]}, ARGV[11])}
end
local before = redis.call('HMGET', KEYS[1], 'created_at_ms', 'seq')
if before[1] then
  return created(before[1], before[2])
end
if ARGV[8] == 'idempotency_key' then
  local stored = redis.call('GET', KEYS[14])
  if stored then
    local fingerprint, id = stored:match('^(%S+) (%S+)$')
    return {fingerprint == ARGV[2] and 'existing' or 'conflict', id}
  end
elseif ARGV[8] == 'resend' and ARGV[2] ~= '0' then
  local found, least = nil, tonumber(ARGV[2])
  for i, entry in ipairs(redis.call('LRANGE', KEYS[14], 0, -1)) do
    local id, times, by = entry:match('^(%S+) (%d+) (%S+)$')
    if by == ARGV[1] then
      return {'existing', id}
    end
    if times and tonumber(times) < least then
      found, least = {i - 1, id}, tonumber(times)
    end
  end
  if found then
    redis.call('LSET', KEYS[14], found[1], found[2] .. ' ' .. ARGV[2] .. ' ' .. ARGV[1])
    redis.call('EXPIRE', KEYS[14], ARGV[3])
    return {'existing', found[2]}
  end
elseif ARGV[8] == 'retry' then
  local failed = redis.call('HMGET', KEYS[14], 'state', 'retried_as')
  if not failed[1] then
    return {'gone', ''}
  end
  if failed[2] then
    return {'existing', failed[2]}
  end
end
local depth = redis.call('ZCARD', KEYS[5])
if depth >= tonumber(ARGV[4]) then
  return {'full', tostring(depth)}
end
if redis.call('EXISTS', KEYS[11]) == 1 then
  return {'no_memory', ''}
end

local now = now_ms()
local seq = redis.call('INCR', KEYS[3])
redis.call('HSET', KEYS[1], 'state', 'queued', 'version', 1, 'seq', seq, 'attempts', 0, 'token', 0,
  'created_at_ms', now, 'deadline_ms', now + ARGV[7], unpack(ARGV, 12))
local first_limit = now + ARGV[7]
for i, name in pairs({[9] = 'start_by_ms', [10] = 'cancel_at_ms'}) do
  if ARGV[i] ~= '' then
    redis.call('HSET', KEYS[1], name, now + ARGV[i])
    first_limit = math.min(first_limit, now + ARGV[i])
  end
end
redis.call('SET', KEYS[2], ARGV[6])
redis.call('ZADD', KEYS[4], seq, ARGV[1])
redis.call('ZADD', KEYS[5], seq, ARGV[1])
redis.call('ZADD', KEYS[10], first_limit, ARGV[1])
if ARGV[8] == 'idempotency_key' then
  redis.call('SET', KEYS[14], ARGV[2] .. ' ' .. ARGV[1], 'EX', ARGV[3])
elseif ARGV[8] == 'resend' then
  redis.call('LPUSH', KEYS[14], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[1])
  redis.call('LTRIM', KEYS[14], 0, 31)
  redis.call('EXPIRE', KEYS[14], ARGV[3])
elseif ARGV[8] == 'retry' then
  redis.call('HSET', KEYS[14], 'retried_as', ARGV[1])
  redis.call('HINCRBY', KEYS[14], 'version', 1)
end
count(KEYS[8], KEYS[9], 'created')
publish(KEYS[3], KEYS[6], KEYS[7], ARGV[1], ARGV[5])
return created(now, seq)
