-- ring: recovery gives a queued job its bell, before the backlog: its next attempt is due, or its bell was lost.
-- include: clock ring
-- KEYS  1 job  2 waiting  3 seq  4 bells:front  5 broker list of the front lane  6 bells
-- ARGV  1 id  2 bell ('' when another broker rings)  3 how old a bell must be to count as lost, ms
-- answers  rung | early: not due, or its bell is young | gone: it is not queued any more
-- Safe to send again: a rung job is not due, and its bell is young.
local record = redis.call('HMGET', KEYS[1], 'state', 'retry_at_ms', 'rung_at_ms', 'created_at_ms')
if record[1] ~= 'queued' then
  for _, i in ipairs({2, 4, 6}) do
    redis.call('ZREM', KEYS[i], ARGV[1])
  end
  return 'gone'
end
local now = now_ms()
local due = record[2] or (record[3] or record[4]) + ARGV[3]
if tonumber(due) > now then
  return 'early'
end
redis.call('HDEL', KEYS[1], 'retry_at_ms')
redis.call('HSET', KEYS[1], 'rung_at_ms', now)
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
ring(KEYS[3], KEYS[4], KEYS[5], ARGV[1], ARGV[2])
return 'rung'
