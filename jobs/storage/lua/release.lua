-- release: a job in progress goes back to the queue, for later or for at once.
-- include: clock count log publish
-- KEYS  1 job  2 events  3 attempts  4 index:in_progress  5 index:queued  6 leases  7 waiting  8 seq
--       9 messages:high  10 broker list of the high priority  11 totals  12 minute
-- ARGV  1 id  2 token  3 wait before the next attempt, ms (0: publish now)
--       4 how the attempt ended: 'failures' (with an error), 'worker_losses' (its lease expired: recovery releases it),
--         'refund' (the worker stops: it does not count)
--       5 entry for attempts ('' for none)  6 channel  7 message ('' when another broker publishes)  8 error code
--       9 length of the log before these events ('' when who releases does not know)  10... events
-- answers  {released, time of the next attempt, ms}  {fenced}: nothing was written; so too when the log has lost events
-- Safe to send again.
local record = redis.call('HMGET', KEYS[1], 'state', 'token', 'seq', 'retry_at_ms')
if record[2] ~= ARGV[2] then
  return {'fenced'}
end
if record[1] ~= 'in_progress' then
  return record[1] == 'queued' and {'released', record[4] or '0'} or {'fenced'}
end
local now = now_ms()
if ARGV[4] == 'worker_losses' and tonumber(redis.call('ZSCORE', KEYS[6], ARGV[1]) or 0) > now then
  return {'fenced'}
end

local events = unwritten(KEYS[2], ARGV[9], {unpack(ARGV, 10)})
if not events then
  return {'fenced'}
end
local retry_at = string.format('%.0f', now + ARGV[3])
redis.call('HSET', KEYS[1], 'state', 'queued', 'error_code', ARGV[8])
if ARGV[4] == 'refund' then
  redis.call('HINCRBY', KEYS[1], 'attempts', -1)
else
  redis.call('HINCRBY', KEYS[1], ARGV[4], 1)
end
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HDEL', KEYS[1], 'owner')
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
redis.call('ZADD', KEYS[5], record[3], ARGV[1])
if ARGV[5] ~= '' then
  redis.call('RPUSH', KEYS[3], ARGV[5])
end
write_log(KEYS[2], ARGV[6], 'more', events)
count(KEYS[11], KEYS[12], ARGV[4])
if tonumber(ARGV[3]) > 0 then
  redis.call('HSET', KEYS[1], 'retry_at_ms', retry_at)
  redis.call('ZADD', KEYS[7], retry_at, ARGV[1])
else
  redis.call('HSET', KEYS[1], 'published_at_ms', now)
  publish(KEYS[8], KEYS[9], KEYS[10], ARGV[1], ARGV[7])
end
return {'released', retry_at}
