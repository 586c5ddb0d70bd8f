-- finish: the one guarded write that ends a job: state, answer, last event, counts, index.
-- include: clock count settle
-- KEYS  1 job  2 request  3 events  4 attempts  5 result  6 index:in_progress  7 index of the final state
--       8 leases  9 expiry  10 totals  11 minute
-- ARGV  1 id  2 token  3 final state  4 answer in Celery's format  5 result TTL, s  6 events TTL, s
--       7 last event  8 channel  9 entry for attempts ('' for none)  10... field, value of the record
-- answers  finished | fenced: nothing was written
-- Safe to send again: the attempt that ended the job is told so again.
local record = redis.call('HMGET', KEYS[1], 'state', 'token')
if record[2] ~= ARGV[2] then
  return 'fenced'
end
if record[1] ~= 'in_progress' then
  return record[1] == ARGV[3] and 'finished' or 'fenced'
end
if ARGV[9] ~= '' then
  redis.call('RPUSH', KEYS[4], ARGV[9])
end
if #ARGV > 9 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 10))
end
redis.call('ZREM', KEYS[6], ARGV[1])
redis.call('ZREM', KEYS[8], ARGV[1])
settle({job = KEYS[1], request = KEYS[2], events = KEYS[3], attempts = KEYS[4], result = KEYS[5], index = KEYS[7],
  expiry = KEYS[9], totals = KEYS[10], minute = KEYS[11]},
  ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
return 'finished'
