-- SPDX-License-Identifier: GPL-3.0-or-later
-- midi.lua <folder> <name>: the plugin on "Drums", its MIDI out on, and a MIDI track "Hits" that hears
-- it and is armed.
AudioEngine:set_backend("None (Dummy)", "", "")
local session = assert(load_session(arg[1] .. "/" .. arg[2], arg[2]), "no session")
local drums = session:route_by_name("Drums")
local plugin = ARDOUR.LuaAPI.new_plugin(session, "LARS", ARDOUR.PluginType.VST3, "")
assert(not plugin:isnil(), "Ardour does not know the plugin")
drums:set_strict_io(false)
assert(drums:add_processor_by_index(plugin, 0, nil, true) == 0, "the plugin cannot be inserted")
plugin:activate()
local insert = plugin:to_insert()
local described, switched = insert:plugin(0), false
for index = 0, described:parameter_count() - 1 do
  local number, good = described:nth_parameter(index, false)
  local _, told = described:get_parameter_descriptor(number, ARDOUR.ParameterDescriptor())
  if told[2].label == "MIDI out" then
    switched = ARDOUR.LuaAPI.set_processor_param(plugin, index, 1)
  end
end
assert(switched, "no parameter MIDI out")
local midi = ARDOUR.ChanCount(ARDOUR.DataType("midi"), 1)
session:new_midi_track(
  midi, midi, true, ARDOUR.PluginInfo(), nil, nil, 1, "Hits", -1, ARDOUR.TrackMode.Normal, false)
sleep(2) -- latency settles, and new tracks are connected, in other threads
local hits = session:route_by_name("Hits"):to_track()
hits:input():midi(0):disconnect_all()
assert(drums:output():midi(0):connect(hits:input():midi(0):name()) == 0, "cannot connect the notes")
local armed = hits:rec_enable_control()
armed:set_value(1, PBD.GroupControlDisposition.NoGroup)
for _ = 1, 30 do -- another thread does it
  if armed:get_value() == 1 then break end
  sleep(1)
end
assert(armed:get_value() == 1, "the MIDI track is not armed")
print("latency", insert:signal_latency())
session:save_state("")
close_session()
quit()
