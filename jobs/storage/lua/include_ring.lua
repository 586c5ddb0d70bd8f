-- ring(seq, bells, list, id, bell): note the job as last in its lane and, where this server is the broker too,
-- push the bell: a Celery message in which {id} and {tag} stand for the job and for kombu's delivery tag.
-- An empty bell means another broker, which the caller rings.
local function ring(seq, bells, list, id, bell)
  local order = redis.call('INCR', seq)
  redis.call('ZADD', bells, order, id)
  if bell ~= '' then
    local message = bell:gsub('{id}', id):gsub('{tag}', id .. '.' .. order)
    redis.call('LPUSH', list, message)
  end
end
