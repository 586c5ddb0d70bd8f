-- leader: the right to do the maintenance for a while: taken, or kept by who has it.
-- KEYS  1 leader
-- ARGV  1 worker  2 how long, ms
-- answers  1: this worker has it  0: another one
-- Safe to send again.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
