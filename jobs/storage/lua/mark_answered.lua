-- mark_answered: records that a call has its answer, so that no later call counts as a resend of it.
-- KEYS
--   resends  the jobs of equal requests, see create.lua
-- ARGV
--   id       the job that the call created or found
-- returns  nothing
-- Safe to send again.
for i, entry in ipairs(redis.call('LRANGE', resends, 0, -1)) do
  if entry:match('^(%S+) %d+ %S+$') == id then
    redis.call('LSET', resends, i - 1, entry .. ' answered')
  end
end
