// SPDX-License-Identifier: GPL-3.0-or-later
// What a render is without an engine: kept, restored, shared, deleted. With one: tests/host.
#include <filesystem>

#include "Catch.h"
#include "render/RenderSession.h"

using namespace lars;

namespace {

constexpr int patience = 60000; // milliseconds

struct Session : RenderSession {
    Session() {
        whyNoEngine = [](int) { return std::string("no engine is running"); };
        prepare(44100.0, 2);
    }

    // What the kick's left channel is at a place, in a block of one.
    float heard(std::int64_t at) {
        float samples[12] = {};
        float* lines[12];
        for (int i = 0; i < 12; ++i)
            lines[i] = samples + i;
        const float silence[1] = {};
        const float* in[2] = {silence, silence};
        player().adopt();
        player().give(in, 2, at, 1, lines, true);
        return samples[0];
    }

    void play(std::int64_t position, float value, int count = 1000) {
        const std::vector<float> samples(static_cast<std::size_t>(count), value);
        const float* in[2] = {samples.data(), samples.data()};
        add(in, 2, count, position, true);
    }

    RenderStatus settled() {
        REQUIRE(waitUntilDone(patience));
        return status();
    }
    // Likewise, and a host saves its session.
    RenderStatus saved() {
        REQUIRE(waitUntilDone(patience));
        const auto [render, take] = keep();
        const auto now = status();
        REQUIRE((now.render == render && now.take == take));
        return now;
    }
};

int countOfRenders() {
    return store::root().getNumberOfChildFiles(juce::File::findDirectories);
}

struct Stem {
    juce::File folder = juce::File::getSpecialLocation(juce::File::tempDirectory)
                            .getChildFile("lars-units-" + juce::Uuid().toString());
    juce::File wav = folder.getChildFile("a.wav");
    Stem() {
        folder.createDirectory();
        Take take(folder.getChildFile("scratch"), 44100.0, 2);
        std::vector<float> frames(2000);
        for (std::size_t i = 0; i < frames.size(); ++i)
            frames[i] = static_cast<float>(i / 2);
        REQUIRE(take.put(0, frames.data(), 1000));
        REQUIRE(take.write(wav).wasOk());
    }
    ~Stem() { folder.deleteRecursively(); }
};

} // namespace

TEST_CASE("A file's stems play from where they were put, are restored, shared, and deleted") {
    const Stem stem;
    Session first;
    first.useFile("Drums.mp3", {{"kick", stem.wav}, {"snare", stem.wav}}, "lars-mini", 500);
    const auto made = first.saved();
    REQUIRE_FALSE(made.failed);
    REQUIRE(made.record);
    CHECK(made.record->source == "Drums.mp3");
    CHECK(made.record->model == "lars-mini");
    CHECK(first.heard(499) == 0.0f);
    CHECK(first.heard(501) == 1.0f);
    CHECK(first.heard(1499) == 999.0f);
    CHECK(first.heard(1500) == 0.0f);
    stem.wav.deleteFile(); // it needs the file no more

    Session second;
    second.restore(made.render, "");
    REQUIRE(second.settled().record);
    CHECK(second.heard(1499) == 999.0f);
    first.remove();
    CHECK(first.settled().render.isEmpty());
    CHECK_FALSE(store::folderOf(made.render).exists());
    CHECK(first.heard(501) == 0.0f);
    Session third;
    third.restore(made.render, "");
    const auto gone = third.settled();
    CHECK(gone.failed);
    CHECK(gone.message.contains(made.render));
    CHECK(gone.render == made.render); // it may come back
    // What comes from a file cannot be separated here.
    second.separate({});
    CHECK(second.settled().failed);
}

TEST_CASE("What was captured is kept where it cannot be separated, and so is what plays") {
    const Stem stem;
    Session session;
    session.useFile("a.wav", {{"kick", stem.wav}}, "", 0);
    const auto before = session.saved().render;
    session.setCapturing(true, {});
    session.play(300, 0.5f);
    session.play(5000, 0.25f);
    session.setCapturing(false, {});
    const auto now = session.saved();
    CHECK(now.failed);
    CHECK(now.message == "no engine is running");
    CHECK(now.render == before);
    CHECK(session.heard(7) == 7.0f);
    REQUIRE(store::isId(now.take));
    CHECK(now.captured == std::vector<Span>{{300, 1300}, {5000, 6000}});
    juce::String problem;
    const auto wave = MappedWav::open(store::sourceOf(now.take), problem);
    REQUIRE(wave != nullptr);
    CHECK(wave->frames() == 5700);

    Session restored;
    restored.restore(now.render, now.take);
    const auto again = restored.settled();
    CHECK_FALSE(again.failed);
    CHECK(again.captured == now.captured);
    CHECK(restored.heard(7) == 7.0f);
    restored.separate({"lars-mini", "fast"});
    CHECK(restored.settled().take == now.take);
    restored.restore("", ""); // another session
    CHECK(restored.settled().take.isEmpty());
    CHECK(restored.heard(7) == 0.0f);
    CHECK(store::remove(now.take).wasOk());
}

TEST_CASE("What no state has ever had is deleted when nobody can find it again") {
    const Stem stem;
    const int before = countOfRenders();
    const RenderSession::Files files{{"kick", stem.wav}};
    juce::String saved;
    {
        Session session;
        session.useFile("a.wav", files, "", 0);
        const auto first = session.settled().render;
        CHECK(countOfRenders() == before + 1);
        session.useFile("a.wav", files, "", 0); // takes its place
        CHECK(session.settled().render != first);
        CHECK(countOfRenders() == before + 1);
        for (int turn = 0; turn < 2; ++turn) { // a take takes the other's
            session.setCapturing(true, {});
            session.play(300, 0.5f);
            session.setCapturing(false, {});
            CHECK(store::isId(session.settled().take));
            CHECK(countOfRenders() == before + 2);
        }
        saved = session.keep().first;
        session.useFile("a.wav", files, "", 0);
        session.settled();
        session.restore("", ""); // another session
        session.settled();
        CHECK(countOfRenders() == before + 2); // what was saved: a render and a take
        session.restore(saved, "");
        CHECK(session.settled().record);
        session.useFile("a.wav", files, "", 0);
        session.settled();
    } // the plugin is taken away
    CHECK(store::folderOf(saved).exists());
    CHECK(countOfRenders() == before + 2);
    for (const auto& folder : store::root().findChildFiles(juce::File::findDirectories, false))
        store::remove(folder.getFileName());
}

TEST_CASE("What a state has had stays: of a saved song, a duplicated track, an undone step") {
    const Stem stem;
    const RenderSession::Files files{{"kick", stem.wav}};
    const int before = countOfRenders();
    juce::String old, mine;
    {
        Session first;
        first.useFile("a.wav", files, "", 0);
        old = first.saved().render;
        first.useFile("a.wav", files, "", 0); // after that, and never saved
        const auto newer = first.settled().render;
        {
            Session duplicate; // from the song's file
            duplicate.restore(old, "");
            CHECK(duplicate.settled().record);
            duplicate.useFile("a.wav", files, "", 0);
            duplicate.settled();
        } // its track is taken away
        CHECK(store::folderOf(old).exists());
        first.restore(old, ""); // undone
        CHECK(first.settled().record);
        CHECK_FALSE(store::folderOf(newer).exists());
        first.useFile("a.wav", files, "", 0);
        mine = first.settled().render;
        first.restore(mine, ""); // a state of what is there already
        first.restore(old, "");
        first.restore("", ""); // nobody waits in between
        first.settled();
    }
    CHECK(countOfRenders() == before + 2);
    for (const auto& id : {old, mine}) {
        CHECK(store::folderOf(id).exists());
        store::remove(id);
    }
}

TEST_CASE("What no state has had goes also where another session comes on the heels of the next") {
    const Stem stem;
    Session session;
    session.useFile("a.wav", {{"kick", stem.wav}}, "", 0);
    const auto made = session.settled().render;
    for (int turn = 0; turn < 8; ++turn)
        session.restore(juce::Uuid().toString(), "");
    session.settled();
    CHECK_FALSE(store::folderOf(made).exists());
}

TEST_CASE("Once the user was shown the files, nothing goes by itself") {
    const Stem stem;
    const int before = countOfRenders();
    juce::StringArray made;
    {
        Session session;
        for (int turn = 0; turn < 2; ++turn) {
            session.useFile("a.wav", {{"kick", stem.wav}}, "", 0);
            made.add(session.settled().render);
            session.keepAll();
        }
    }
    CHECK(countOfRenders() == before + 2);
    for (const auto& id : made)
        CHECK(store::remove(id).wasOk());
}

TEST_CASE("What is loaded cannot be cut short by a program that opens it to write") {
    const Stem stem;
    Session session;
    session.useFile("a.wav", {{"kick", stem.wav}}, "", 0);
    const auto made = session.settled();
    REQUIRE(made.record);
    const auto file = store::stemsOf(made.render, *made.record, 44100.0).getChildFile("kick.wav");
    const auto modes =
        std::filesystem::status(file.getFullPathName().toStdString()).permissions();
    CHECK((modes & std::filesystem::perms(0222)) == std::filesystem::perms::none);
}

TEST_CASE("Where nothing was captured, nothing is left of it") {
    const auto count = countOfRenders;
    const int before = count();
    {
        Session session;
        session.setCapturing(true, {});
        CHECK(session.status().capturing);
        CHECK(count() == before + 1);
        session.setCapturing(false, {});
        CHECK(session.settled().failed);
        CHECK(count() == before);
        session.setCapturing(true, {});
        session.play(0, 0.5f);
    } // unloaded while it captures
    CHECK(count() == before);
}

TEST_CASE("At another rate a capture begins anew, and stems wait for the engine") {
    const Stem stem;
    Session session;
    session.setCapturing(true, {});
    session.play(0, 0.5f);
    session.prepare(48000.0, 2);
    session.play(100, 0.5f);
    session.setCapturing(false, {});
    const auto now = session.saved();
    CHECK(now.captured == std::vector<Span>{{100, 1100}});
    CHECK(now.rate == 48000.0);
    session.useFile("a.wav", {{"kick", stem.wav}}, "", 480); // which is at 44.1 kHz
    const auto made = session.saved();
    CHECK(made.failed);
    CHECK(made.message.contains("no engine is running"));
    CHECK(store::isId(made.render));
    CHECK(session.heard(500) == 0.0f);
    session.prepare(44100.0, 2);
    CHECK_FALSE(session.settled().failed);
    CHECK(session.heard(441 + 7) == 7.0f); // 10 ms, as before
    CHECK(store::remove(made.render).wasOk());
    CHECK(store::remove(now.take).wasOk());
}

TEST_CASE("The track plays and is captured while sessions come and go and the window looks on") {
    const Stem stem;
    Session session;
    session.useFile("a.wav", {{"kick", stem.wav}}, "", 0);
    const auto first = session.saved().render;
    session.useFile("a.wav", {{"kick", stem.wav}, {"snare", stem.wav}}, "", 0);
    const auto second = session.saved().render;
    std::atomic<bool> stop{false}, wrong{false};
    std::thread audio([&] {
        for (std::int64_t at = 0; !stop.load(); at = (at + 100) % 900) {
            session.player().follow(at, true);
            // A stem's sample, or a share of silence.
            const float sample = session.heard(at + 1);
            if (sample != 0.0f && sample != static_cast<float>(at + 1))
                wrong.store(true);
            session.play(at, 0.5f, 64);
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    });
    std::thread window([&] {
        while (!stop.load()) {
            session.status();
            session.cancel();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    });
    std::vector<juce::String> takes;
    for (int turn = 0; turn < 40; ++turn) {
        session.restore(turn % 3 == 0 ? juce::String() : turn % 3 == 1 ? first : second, "");
        session.setCapturing(true, {});
        session.prepare(turn % 5 == 0 ? 48000.0 : 44100.0, 2);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        session.setCapturing(false, {});
        if (turn % 2 == 0)
            takes.push_back(session.saved().take);
        CHECK(store::isId(session.status().render) == (turn % 3 != 0));
    }
    stop.store(true);
    audio.join();
    window.join();
    CHECK_FALSE(wrong.load());
    takes.push_back(session.saved().take);
    for (const auto& id : takes)
        CHECK(store::remove(id).wasOk());
    CHECK(store::remove(first).wasOk());
    CHECK(store::remove(second).wasOk());
}
