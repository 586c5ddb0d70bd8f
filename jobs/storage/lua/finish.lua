-- finish: the one guarded write that ends a job: state, answer, last event, counts, index.
-- include: clock count log finalize
-- KEYS  1 job  2 request  3 events  4 attempts  5 result  6 index of the final state  7 expiry  8 totals  9 minute
--       10 leases  11... the other lines that the job may stand in
-- ARGV  1 id  2 token  3 final state  4 answer in Celery's format  5 result TTL, s  6 events TTL, s
--       7 channel  8 entry for attempts ('' for none)
--       9 who ends it: 'holder' of the lease, or recovery, of a job whose lease is 'expired' or that is 'queued'
--       10 length of the log before these events ('' when who ends it does not know)  11 how many events
--       12... events, the last one says how it ended; then field, value of the record
-- answers  finished | fenced: nothing was written; so too when the log has lost events
-- Safe to send again: who ended the job is told so again.
local record = redis.call('HMGET', KEYS[1], 'state', 'token')
if record[2] ~= ARGV[2] then
  return 'fenced'
end
if record[1] ~= (ARGV[9] == 'queued' and 'queued' or 'in_progress') then
  return record[1] == ARGV[3] and 'finished' or 'fenced'
end
if ARGV[9] == 'expired' and tonumber(redis.call('ZSCORE', KEYS[10], ARGV[1]) or 0) > now_ms() then
  return 'fenced'
end
local last = 11 + ARGV[11]
local events = unwritten(KEYS[3], ARGV[10], {unpack(ARGV, 12, last)})
if not events then
  return 'fenced'
end
if ARGV[8] ~= '' then
  redis.call('RPUSH', KEYS[4], ARGV[8])
end
if #ARGV > last then
  redis.call('HSET', KEYS[1], unpack(ARGV, last + 1))
end
finalize(ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[6], events, ARGV[7])
return 'finished'
