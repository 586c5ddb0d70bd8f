-- undelivered: queued jobs of one priority whose message is lost.
-- Messages leave a priority in the order of their publication. So the message of a job is lost when a later message
-- has led to a claim, and every message is lost when the broker has none left. A job that waits behind others is not
-- undelivered.
-- KEYS
--   messages       the queued jobs of that priority
--   claimed        the latest message of that priority that led to a claim
--   broker_list    Celery's messages of that priority
-- ARGV
--   messages_left  messages that another broker holds; -1: this server is the broker
--   limit          maximum number of ids to return
-- returns  ids, the oldest first
-- Safe to send again.
local left = tonumber(messages_left)
if left < 0 then
  left = redis.call('LLEN', broker_list)
end
local max_order = left == 0 and '+inf' or '(' .. (redis.call('GET', claimed) or 0)
return redis.call('ZRANGEBYSCORE', messages, '-inf', max_order, 'LIMIT', 0, limit)
