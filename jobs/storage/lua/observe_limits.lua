-- observe_limits: what the provider says of its limits in the headers of an answer.
-- include: clock record rate_ring lines governor
-- KEYS
--   namespace            prefix of the keys of targets and pools
-- ARGV
--   target
--   requests_limit       requests a minute; '' for unknown, as are the others
--   requests_remaining
--   tokens_limit         tokens a minute
--   tokens_remaining
-- returns  nothing
-- Safe to send again.
local key, second = target_key(target), math.floor(now_ms() / 1000)

local has_changed = false

-- follow(field, source, ring, limit, remaining): adopts the limit unless one is configured. If more of it is used up
-- than by the calls counted here, others use the key too, and their calls are added to the ring.
local function follow(field, source, ring, limit, remaining)
  if (tonumber(limit) or 0) < 1 then
    return
  end
  local known, known_source = unpack(redis.call('HMGET', key, field, source))
  if known_source ~= 'configured' and (known ~= limit or known_source ~= 'header') then
    redis.call('HSET', key, field, limit, source, 'header')
    redis.call('HDEL', key, 'gap_ms', 'gap_since_ms', 'learned_ms', 'window_ms')
    reopen_pools('(0')
    has_changed = true
  end
  if remaining ~= '' then
    local unknown = math.floor(limit - remaining - ring_sum(ring, second))
    if unknown > 0 then
      ring_add(ring, second, unknown)
    end
  end
end

follow('requests_per_minute', 'requests_source', namespace .. 'requests:' .. target, requests_limit, requests_remaining)
follow('tokens_per_minute', 'tokens_source', namespace .. 'tokens:' .. target, tokens_limit, tokens_remaining)
redis.call('EXPIRE', key, 86400)
if has_changed and not nobody_waits() then
  notify_leader(0)
end
