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
