-- delete: forget a job that has ended, or what is left of one whose record has expired.
-- KEYS  1 job  2... what else is this job's alone, then index:all, expiry and the index of each final state
-- ARGV  1 id  2 how many of the keys are this job's alone
-- answers  deleted | active: cancel it first | gone: there was no record
-- Safe to send again.
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'queued' or state == 'in_progress' then
  return 'active'
end
local own = tonumber(ARGV[2])
for i = 1, own do
  redis.call('DEL', KEYS[i])
end
for i = own + 1, #KEYS do
  redis.call('ZREM', KEYS[i], ARGV[1])
end
return state and 'deleted' or 'gone'
