-- slice(list, first, last): that part of a list. Unlike unpack it takes any number of values.
local function slice(list, first, last)
  local part = {}
  for i = first, last do
    part[#part + 1] = list[i]
  end
  return part
end
