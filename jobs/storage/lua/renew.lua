-- renew: the heartbeat of one worker process: it lives, and it keeps the leases it still holds.
-- include: clock
-- KEYS  1 leases  2 workers  3... job, one for each lease
-- ARGV  1 worker  2 lease, ms  3... id, token for each lease
-- answers  the ids whose lease is lost: ended, cancelled, deleted or claimed by another
-- Safe to send again.
local now = now_ms()
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 60000)
local lost = {}
for i = 3, #KEYS do
  local id, token = ARGV[2 * i - 3], ARGV[2 * i - 2]
  local record = redis.call('HMGET', KEYS[i], 'state', 'token')
  if record[1] == 'in_progress' and record[2] == token then
    redis.call('ZADD', KEYS[1], now + ARGV[2], id)
  else
    lost[#lost + 1] = id
  end
end
return lost
