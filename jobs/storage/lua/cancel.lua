-- cancel: ends a job that has not ended, and keeps the text of its last attempt as the partial answer.
-- A job in a state that this version does not know has ended if its record has an end. Nothing else of the record
-- needs to be understood: what is unreadable is left out, and a record that is no hash is replaced.
-- include: clock record count log version fair_clock rate_ring lines governor publish dispatch tenant_index finalize
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
local record_type = redis.call('TYPE', job).ok
if record_type == 'none' then
  return 'gone'
end
if record_type ~= 'hash' then
  redis.call('DEL', job)
end
local record = read_record(job, 'log_start', 'usage', 'finished_at_ms', unpack(FINALIZED_FIELDS))
local state, kind, log_start, usage = record.state, record.kind, record.log_start, record.usage
if state == 'completed' or state == 'incomplete' or state == 'failed' or state == 'cancelled' then
  return state == 'cancelled' and 'cancelled' or 'final'
end
if state ~= 'queued' and state ~= 'in_progress' and record.finished_at_ms then
  return 'final'
end

redis.call('ZREM', leases, id) -- a full Redis refuses a script's first write, unless it frees memory as a cancel does

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
    local is_readable, logged = pcall(cjson.decode, line)
    if is_readable and type(logged) == 'table' and logged.type == 'delta' and type(logged.text) == 'string' then
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
if tonumber(log_start) and keeps_text() then
  partial = cjson.encode({kind = kind, text = logged_text(), model = cjson.null, finish_reason = 'cancelled',
    usage = recorded_usage()})
end
finalize(record, 'cancelled', open_meta .. partial .. '}', {event}, {})
if state ~= 'queued' then
  redis.call('PUBLISH', stop_channel, id)
end
return 'cancelled'
