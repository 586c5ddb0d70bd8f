-- line: how many jobs of its queue go before this one, and how long that may take.
-- include: pace
-- KEYS  1 bells  2 bells:front  3 the running minute  4 the minute before
-- ARGV  1 id  2 ms since the running minute began
-- answers  {place, wait in ms or -1}, or nothing when the job waits in no line
local place = redis.call('ZRANK', KEYS[2], ARGV[1])
if not place then
  place = redis.call('ZRANK', KEYS[1], ARGV[1])
  if not place then
    return false
  end
  place = place + redis.call('ZCARD', KEYS[2])
end
return {place, wait_ms(place, {KEYS[3], KEYS[4]}, ARGV[2])}
