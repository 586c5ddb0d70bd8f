-- publish(order, messages, list, id, template): puts the job last in its priority and, where this server is the broker
-- too, pushes its Celery message: the template with {id} and {tag} replaced by the job's id and kombu's delivery tag.
-- An empty template means another broker, to which the caller publishes. order: the latest number of `seq`.
local function publish(order, messages, list, id, template)
  redis.call('ZADD', messages, order, id)
  if template ~= '' then
    local message = template:gsub('{id}', id):gsub('{tag}', id .. '.' .. order)
    redis.call('LPUSH', list, message)
  end
end
