-- undelivered: queued jobs that have no message. Bells leave a priority in the order in which they were rung, so a job was
-- overtaken, and its message is lost, when a later one has led to a claim; and all are, when no message is left.
-- A job that only waits behind others is not among them.
-- KEYS  1 messages  2 the latest claimed of that priority  3 broker list of that priority
-- ARGV  1 messages that another broker holds (-1: this server is the broker)  2 most ids to answer
-- answers  ids, the oldest first
local messages_left = tonumber(ARGV[1])
if messages_left < 0 then
  messages_left = redis.call('LLEN', KEYS[3])
end
local max_score = messages_left == 0 and '+inf' or '(' .. (redis.call('GET', KEYS[2]) or 0)
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', max_score, 'LIMIT', 0, ARGV[2])
