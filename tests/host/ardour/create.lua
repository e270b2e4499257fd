-- SPDX-License-Identifier: GPL-3.0-or-later
-- create.lua <folder> <name>: a session with the track "Drums" and a bus for each stem we look at.
AudioEngine:set_backend("None (Dummy)", "", "")
local session = assert(create_session(arg[1] .. "/" .. arg[2], arg[2], 44100), "no session")
session:new_audio_track(2, 2, nil, 1, "Drums", -1, ARDOUR.TrackMode.Normal, true)
for _, name in ipairs({ "Snare", "Crash" }) do
  session:new_audio_route(2, 2, nil, 1, name, ARDOUR.PresentationInfo.Flag.AudioBus, -1)
end
sleep(1) -- the thread that connects new tracks
session:save_state("")
close_session()
quit()
