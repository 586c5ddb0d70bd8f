-- unrung: queued jobs that have no bell. Bells leave a lane in the order in which they were rung, so a job was
-- overtaken, and its bell is lost, when a later one has led to a claim; and all are, when no bell is left.
-- A job that only waits behind others is not among them.
-- KEYS  1 bells  2 the latest claimed of that lane  3 broker list of that lane
-- ARGV  1 bells that another broker holds (-1: this server is the broker)  2 most ids to answer
-- answers  ids, the oldest first
local left = tonumber(ARGV[1])
if left < 0 then
  left = redis.call('LLEN', KEYS[3])
end
local top = left == 0 and '+inf' or '(' .. (redis.call('GET', KEYS[2]) or 0)
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', top, 'LIMIT', 0, ARGV[2])
