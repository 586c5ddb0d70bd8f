-- cancel: end a job that is queued or in progress; the partial text is what its log holds of the last attempt.
-- include: clock count log finalize
-- KEYS  1 job  2 request  3 events  4 attempts  5 result  6 index:cancelled  7 expiry  8 totals  9 minute
--       10... the lines that the job may stand in
-- ARGV  1 id  2 answer in Celery's format, open at its end for the partial answer  3 result TTL, s
--       4 events TTL, s  5 last event  6 channel  7 channel of running calls to stop
-- answers  cancelled (now or before)  final: it had ended otherwise  gone
-- Safe to send again.
local record = redis.call('HMGET', KEYS[1], 'state', 'kind', 'log_start', 'usage')
local state = record[1]
if not state then
  return 'gone'
end
if state ~= 'queued' and state ~= 'in_progress' then
  return state == 'cancelled' and 'cancelled' or 'final'
end

local partial = 'null'
if record[3] and ({chat = true, completion = true, response = true})[record[2]] then
  local text = {}
  for _, line in ipairs(redis.call('LRANGE', KEYS[3], record[3], -1)) do
    local event = cjson.decode(line)
    if event.type == 'delta' then
      text[#text + 1] = event.text
    end
  end
  local input_tokens, output_tokens, estimated = (record[4] or ''):match('^(%d+) (%d+) (%d)$')
  local usage = input_tokens and {input_tokens = tonumber(input_tokens), output_tokens = tonumber(output_tokens),
    total_tokens = input_tokens + output_tokens, estimated = estimated == '1'}
  partial = cjson.encode({kind = record[2], text = table.concat(text), model = cjson.null, finish_reason = 'cancelled',
    usage = usage or cjson.null})
end
finalize(ARGV[1], 'cancelled', ARGV[2] .. partial .. '}', ARGV[3], ARGV[4], {ARGV[5]}, ARGV[6])
if state == 'in_progress' then
  redis.call('PUBLISH', ARGV[7], ARGV[1])
end
return 'cancelled'
