-- finish: the one guarded write that ends a job: state, answer, last event, counts, index.
-- include: clock count settle
-- KEYS  1 job  2 request  3 events  4 attempts  5 result  6 index of the final state  7 expiry  8 totals  9 minute
--       10 leases  11... the other lines that the job may stand in
-- ARGV  1 id  2 token  3 final state  4 answer in Celery's format  5 result TTL, s  6 events TTL, s
--       7 last event  8 channel  9 entry for attempts ('' for none)
--       10 who ends it: 'holder' of the lease, or recovery, of a job whose lease is 'expired' or that is 'queued'
--       11... field, value of the record
-- answers  finished | fenced: nothing was written
-- Safe to send again: who ended the job is told so again.
local record = redis.call('HMGET', KEYS[1], 'state', 'token')
if record[2] ~= ARGV[2] then
  return 'fenced'
end
if record[1] ~= (ARGV[10] == 'queued' and 'queued' or 'in_progress') then
  return record[1] == ARGV[3] and 'finished' or 'fenced'
end
if ARGV[10] == 'expired' and tonumber(redis.call('ZSCORE', KEYS[10], ARGV[1]) or 0) > now_ms() then
  return 'fenced'
end
if ARGV[9] ~= '' then
  redis.call('RPUSH', KEYS[4], ARGV[9])
end
if #ARGV > 10 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 11))
end
settle(ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
return 'finished'
