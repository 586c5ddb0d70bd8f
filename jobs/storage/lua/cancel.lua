-- cancel: ends a job that is queued or in progress, and keeps the text of its last attempt as the partial answer.
-- include: clock count log finalize
-- KEYS  those of finalize
-- ARGV  those of finalize, then
--   open_meta      the start of the answer in Celery's format; the partial answer and '}' are appended
--   event          the last event
--   stop_channel   where workers learn which running calls to stop
--   text_kinds...  the kinds of job that keep a partial text
-- returns  cancelled: now or before
--          final: the job ended in another way
--          gone: there is no such job
-- Safe to send again.
local state, kind, log_start, usage = unpack(redis.call('HMGET', job, 'state', 'kind', 'log_start', 'usage'))
if not state then
  return 'gone'
end
if state ~= 'queued' and state ~= 'in_progress' then
  return state == 'cancelled' and 'cancelled' or 'final'
end

local function keeps_text()
  for _, text_kind in ipairs(text_kinds) do
    if text_kind == kind then
      return true
    end
  end
  return false
end

local function logged_text()
  local text = {}
  for _, line in ipairs(redis.call('LRANGE', log, log_start, -1)) do
    local logged = cjson.decode(line)
    if logged.type == 'delta' then
      text[#text + 1] = logged.text
    end
  end
  return table.concat(text)
end

local function recorded_usage()
  local input_tokens, output_tokens, estimated = (usage or ''):match('^(%d+) (%d+) (%d)$')
  if not input_tokens then
    return cjson.null
  end
  return {input_tokens = tonumber(input_tokens), output_tokens = tonumber(output_tokens),
    total_tokens = input_tokens + output_tokens, estimated = estimated == '1'}
end

local partial = 'null'
if log_start and keeps_text() then
  partial = cjson.encode({kind = kind, text = logged_text(), model = cjson.null, finish_reason = 'cancelled',
    usage = recorded_usage()})
end
finalize('cancelled', open_meta .. partial .. '}', {event})
if state == 'in_progress' then
  redis.call('PUBLISH', stop_channel, id)
end
return 'cancelled'
