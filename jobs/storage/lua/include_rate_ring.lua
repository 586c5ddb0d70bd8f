-- Rate rings: amounts of the last 61 seconds, in one bucket for each second. A ring is a hash: second % 62 -> amount,
-- `last`: the latest second, `sum`: of all buckets. 61 and not 60: between here and the provider lies up to a second.

-- ring_sum(ring, second): what is in the ring now. Drops older buckets.
local function ring_sum(ring, second)
  local last, sum = unpack(redis.call('HMGET', ring, 'last', 'sum'))
  last, sum = tonumber(last), tonumber(sum or 0)
  local is_outdated = not last or math.abs(second - last) > 61 -- or the server's clock was set back
  if is_outdated then
    redis.call('DEL', ring)
    redis.call('HSET', ring, 'last', second, 'sum', 0)
    redis.call('EXPIRE', ring, 120)
    return 0
  end
  if second > last then
    local passed = {}
    for bucket = last + 1, second do
      passed[#passed + 1] = bucket % 62
    end
    for _, amount in ipairs(redis.call('HMGET', ring, unpack(passed))) do
      sum = sum - (amount or 0)
    end
    redis.call('HDEL', ring, unpack(passed))
    redis.call('HSET', ring, 'last', second, 'sum', sum)
    redis.call('EXPIRE', ring, 120)
  end
  return sum
end

-- ring_add(ring, second, amount): to a second that is still in the ring. Returns whether it is the second's first amount.
local function ring_add(ring, second, amount)
  local bucket = second % 62
  local last, sum, before = unpack(redis.call('HMGET', ring, 'last', 'sum', bucket))
  if tonumber(last) ~= second then -- the ring moves on
    sum = ring_sum(ring, second)
    before = redis.call('HGET', ring, bucket)
  end
  redis.call('HSET', ring, 'sum', (sum or 0) + amount, bucket, (before or 0) + amount)
  return not before
end

-- ring_opens_at(ring, second, excess): the ms at which the ring has this much less in it than now; nil if it never has.
local function ring_opens_at(ring, second, excess)
  for age = 61, 0, -1 do
    excess = excess - (redis.call('HGET', ring, (second - age) % 62) or 0)
    if excess <= 0 then
      return (second - age + 62) * 1000
    end
  end
end
