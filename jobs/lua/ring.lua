-- ring: a job whose next attempt is due gets its bell, before the backlog.
-- include: clock ring
-- KEYS  1 job  2 waiting  3 seq  4 bells:front  5 broker list of the front lane
-- ARGV  1 id  2 bell ('' when another broker rings)
-- answers  rung | early | gone: it is not queued any more
-- Safe to send again: a second bell is harmless, and a rung job is not due.
local record = redis.call('HMGET', KEYS[1], 'state', 'retry_at_ms')
if record[1] ~= 'queued' or not record[2] then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 'gone'
end
if tonumber(record[2]) > now_ms() then
  return 'early'
end
redis.call('HDEL', KEYS[1], 'retry_at_ms')
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('ZREM', KEYS[2], ARGV[1])
ring(KEYS[3], KEYS[4], KEYS[5], ARGV[1], ARGV[2])
return 'rung'
