# SPDX-License-Identifier: GPL-3.0-or-later
# JUCE 7.0.5's VST3 wrapper copies a vector in every block, which allocates on the audio thread.
# A copy of that one header with a reference instead goes into the build folder, ahead of the
# original on the include path. A JUCE that has no such line is left as it is.
get_target_property(juce_modules juce_audio_processors INTERFACE_JUCE_MODULE_PATH)
set(header "juce_audio_processors/format_types/juce_VST3Common.h")
set(LARS_CORRECTED_JUCE "${CMAKE_BINARY_DIR}/corrected-juce")

if(EXISTS "${juce_modules}/${header}")
  file(READ "${juce_modules}/${header}" text)
  string(FIND "${text}" "const auto mapping = map[busIndex];" found)
  if(NOT found EQUAL -1)
    string(REPLACE "const auto mapping = map[busIndex];" "const auto& mapping = map[busIndex];"
      text "${text}")
    file(CONFIGURE OUTPUT "${LARS_CORRECTED_JUCE}/${header}" CONTENT "${text}" @ONLY)
    message(STATUS "JUCE: corrected the allocation in ${header}")
  endif()
endif()

# JUCE 7.0.5's lock of the message thread may be given back, and its place on the stack be something
# else, while the message thread is still about to signal it: what it locks then is no mutex any
# more, and the host aborts. The message thread holds `ownerCriticalSection` meanwhile, so whoever
# got the lock waits for that once. Hosts made with this JUCE have the same fault: pluginval aborts
# with anybody's plugin.
set(module "${LARS_CORRECTED_JUCE}/juce_events")
set(source "messages/juce_MessageManager.cpp")
set(faulty "mm->threadWithLock = Thread::getCurrentThreadId();\n            return true;")
set(finished "{ const ScopedLock finished (blockingMessage->ownerCriticalSection); }\n            ${faulty}")
if(EXISTS "${juce_modules}/juce_events/${source}")
  file(READ "${juce_modules}/juce_events/${source}" text)
  string(FIND "${text}" "${faulty}" found)
  get_target_property(sources juce_events INTERFACE_SOURCES)
  if(NOT found EQUAL -1 AND sources)
    string(REPLACE "${faulty}" "${finished}" text "${text}")
    file(COPY "${juce_modules}/juce_events" DESTINATION "${LARS_CORRECTED_JUCE}"
      PATTERN "juce_MessageManager.cpp" EXCLUDE)
    file(CONFIGURE OUTPUT "${module}/${source}" CONTENT "${text}" @ONLY)
    string(REPLACE "${juce_modules}/juce_events/juce_events." "${module}/juce_events."
      sources "${sources}")
    set_property(TARGET juce_events PROPERTY INTERFACE_SOURCES "${sources}")
    message(STATUS "JUCE: corrected the lock in juce_events/${source}")
  endif()
endif()
