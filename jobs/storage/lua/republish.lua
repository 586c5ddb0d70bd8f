-- republish: recovery gives a queued job its message, before the backlog: its next attempt is due, or its message was lost.
-- include: clock publish
-- KEYS  1 job  2 waiting  3 seq  4 messages:high  5 broker list of the high priority  6 messages
-- ARGV  1 id  2 message ('' when another broker publishes)  3 how old a message must be to count as lost, ms
-- answers  republished | early: not due, or its message is young | gone: it is not queued any more
-- Safe to send again: a republished job is not due, and its message is young.
local record = redis.call('HMGET', KEYS[1], 'state', 'retry_at_ms', 'published_at_ms', 'created_at_ms')
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
redis.call('HSET', KEYS[1], 'published_at_ms', now)
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
publish(KEYS[3], KEYS[4], KEYS[5], ARGV[1], ARGV[2])
return 'republished'
