# SPDX-License-Identifier: GPL-3.0-or-later
# The JUCE modules we use, compiled once, for the plugin, the standalone program and the tests.
add_library(lars_juce STATIC)
target_link_libraries(lars_juce PRIVATE juce::juce_audio_utils)
target_compile_definitions(lars_juce
  PUBLIC
    JUCE_WEB_BROWSER=0
    JUCE_USE_CURL=0
    JUCE_VST3_CAN_REPLACE_VST2=0
    JUCE_DISPLAY_SPLASH_SCREEN=0
    JUCE_REPORT_APP_USAGE=0
    JUCE_STRICT_REFCOUNTEDPOINTER=1
    JUCE_MODAL_LOOPS_PERMITTED=0
    $<IF:$<CONFIG:Debug>,DEBUG=1,NDEBUG=1>
  INTERFACE $<TARGET_PROPERTY:lars_juce,COMPILE_DEFINITIONS>)
# As system headers: our warnings are for our code.
target_include_directories(lars_juce SYSTEM
  INTERFACE $<TARGET_PROPERTY:lars_juce,INCLUDE_DIRECTORIES>)
target_compile_options(lars_juce PRIVATE $<$<NOT:$<CXX_COMPILER_ID:MSVC>>:-w>)
set_target_properties(lars_juce PROPERTIES CXX_VISIBILITY_PRESET hidden)

if(NOT LARS_JUCE_DIR AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
  # Debian builds JUCE against its own codecs instead of the copies inside JUCE.
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(codecs REQUIRED IMPORTED_TARGET
    flac vorbisfile vorbisenc vorbis ogg libjpeg libpng zlib freetype2)
  target_link_libraries(lars_juce PUBLIC PkgConfig::codecs)
endif()
if(UNIX AND NOT APPLE)
  find_package(PkgConfig REQUIRED)
  find_package(Threads REQUIRED)
  pkg_check_modules(alsa REQUIRED IMPORTED_TARGET alsa)
  target_link_libraries(lars_juce PUBLIC Threads::Threads PkgConfig::alsa ${CMAKE_DL_LIBS} rt)
endif()
