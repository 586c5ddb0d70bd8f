-- publish(seq, messages, list, id, template): note the job as last in its priority and, where this server is the broker too,
-- push the template: a Celery message in which {id} and {tag} stand for the job and for kombu's delivery tag.
-- An empty template means another broker, which the caller publishes.
local function publish(seq, messages, list, id, template)
  local order = redis.call('INCR', seq)
  redis.call('ZADD', messages, order, id)
  if template ~= '' then
    local message = template:gsub('{id}', id):gsub('{tag}', id .. '.' .. order)
    redis.call('LPUSH', list, message)
  end
end
