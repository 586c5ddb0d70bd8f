-- delete: forget a job that has ended, or what is left of one whose record has expired.
-- KEYS  1 job  2 request  3 events  4 attempts  5 result  6... index:all, expiry and the index of each final state;
--       at the end its Idempotency-Key, if it had one
-- ARGV  1 id  2 how many keys are indexes
-- answers  deleted | active: cancel it first | gone: there was no record
-- Safe to send again.
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'queued' or state == 'in_progress' then
  return 'active'
end
local indexes = tonumber(ARGV[2])
for i = 1, 5 do
  redis.call('DEL', KEYS[i])
end
for i = 6, 5 + indexes do
  redis.call('ZREM', KEYS[i], ARGV[1])
end
local key = KEYS[6 + indexes]
if key and (redis.call('GET', key) or ''):find(ARGV[1], 1, true) then -- it may lead to a later job by now
  redis.call('DEL', key)
end
return state and 'deleted' or 'gone'
