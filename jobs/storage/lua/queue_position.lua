-- queue_position: how many jobs of its queue go before this one, and how long that may take.
-- include: wait_estimate
-- KEYS  1 messages  2 messages:high  3 the running minute  4 the minute before
-- ARGV  1 id  2 ms since the running minute began
-- answers  {position, wait in ms or -1}, or nothing when the job waits in no line
local position = redis.call('ZRANK', KEYS[2], ARGV[1])
if not position then
  position = redis.call('ZRANK', KEYS[1], ARGV[1])
  if not position then
    return false
  end
  position = position + redis.call('ZCARD', KEYS[2])
end
return {position, estimate_wait_ms(position, {KEYS[3], KEYS[4]}, ARGV[2])}
