-- position: how many jobs of its queue go before this one.
-- KEYS  1 bells  2 bells:front
-- ARGV  1 id
-- answers  the number, or nothing when the job waits in no line
local front = redis.call('ZRANK', KEYS[2], ARGV[1])
if front then
  return front
end
local normal = redis.call('ZRANK', KEYS[1], ARGV[1])
return normal and normal + redis.call('ZCARD', KEYS[2])
