-- SPDX-License-Identifier: GPL-3.0-or-later
-- create.lua <folder> <name>: a session with the track "Drums" and a track for each stem we look at,
-- which lets its input through.
AudioEngine:set_backend("None (Dummy)", "", "")
local session = assert(create_session(arg[1] .. "/" .. arg[2], arg[2], 44100), "no session")
session:new_audio_track(2, 2, nil, 1, "Drums", -1, ARDOUR.TrackMode.Normal, true)
for _, name in ipairs({ "Snare", "Crash" }) do
  local tracks = session:new_audio_track(2, 2, nil, 1, name, -1, ARDOUR.TrackMode.Normal, true)
  for track in tracks:iter() do
    track:monitoring_control():set_value(
      ARDOUR.MonitorChoice.MonitorInput, PBD.GroupControlDisposition.NoGroup)
  end
end
sleep(1) -- the thread that connects new tracks
session:save_state("")
close_session()
quit()
