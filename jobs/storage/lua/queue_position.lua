-- queue_position: how many jobs of the queue start before this one, and how long that may take.
-- include: wait_estimate
-- KEYS
--   messages
--   messages_high
--   minute         the counts of the current minute
--   minute_before  the counts of the minute before
-- ARGV
--   id
--   elapsed_ms     since the current minute began
-- returns  {position, estimated wait in ms or -1}
--          nothing: the job has no message
-- Safe to send again: it only reads.
local position = redis.call('ZRANK', messages_high, id)
if not position then
  position = redis.call('ZRANK', messages, id)
  if not position then
    return false
  end
  position = position + redis.call('ZCARD', messages_high)
end
return {position, estimate_wait_ms(position, {minute, minute_before}, elapsed_ms)}
