-- mark_answered: the call that made a job, or came back to it, has its answer; no later call is one of its repetitions.
-- KEYS  1 the list of the jobs of equal requests, see create.lua
-- ARGV  1 id
-- answers  nothing
-- Safe to send again.
for i, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if entry:match('^(%S+) %d+ %S+$') == ARGV[1] then
    redis.call('LSET', KEYS[1], i - 1, entry .. ' answered')
  end
end
