// SPDX-License-Identifier: GPL-3.0-or-later
// The main function of tests that need JUCE's message thread, which is the one that runs them.
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#if defined(__linux__)
#include <dlfcn.h>
#endif

#include <juce_events/juce_events.h>

namespace {

// Xlib ends a program at the first error that nobody handles; JUCE's own programs go on, and so do
// hosts. Without a window manager a property of the frame has no name, which is one.
void goOnAfterErrorsOfTheDisplay() {
#if defined(__linux__)
    if (auto* library = dlopen("libX11.so.6", RTLD_LAZY)) {
        using Handler = int (*)(void*, void*);
        if (const auto set =
                reinterpret_cast<Handler (*)(Handler)>(dlsym(library, "XSetErrorHandler")))
            set([](void*, void*) { return 0; });
    }
#endif
}

} // namespace

int main(int count, char** arguments) {
    goOnAfterErrorsOfTheDisplay();
    const juce::ScopedJuceInitialiser_GUI juce;
    return Catch::Session().run(count, arguments);
}
