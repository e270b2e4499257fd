// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/FileSection.h"

namespace lars {
namespace {

// What the engine reads (EXTENSIONS in lars_plugin/audio/reader.py). A typed path or a dropped file
// may have any name.
constexpr auto audioFiles =
    "*.wav;*.wave;*.bwf;*.rf64;*.w64;*.flac;*.mp3;*.ogg;*.oga;*.opus;*.aif;*.aiff;*.aifc;*.caf;*.au;"
    "*.m4a;*.m4b;*.aac;*.alac;*.mp4;*.m4v;*.mov;*.wma;*.wmv;*.mkv;*.mka;*.webm;*.ogv;*.avi;*.3gp;"
    "*.ac3;*.ape;*.wv";

} // namespace

juce::String clockText(double seconds) {
    const auto tenths = static_cast<int>(seconds * 10.0);
    return juce::String(tenths / 600) + ":" + juce::String(tenths / 10 % 60).paddedLeft('0', 2) +
           "." + juce::String(tenths % 10);
}

FileSection::FileSection(FileSession& fileSession, TimeView& timeView, WaveCache& cache)
    : session(fileSession), view(timeView), player(timeView.player), ruler(timeView),
      wave(timeView, cache) {
    setTitle("File");
    setFocusContainerType(FocusContainerType::none);
    for (auto* part : std::initializer_list<juce::Component*>{
             &list, &info, &loadButton, &remove, &separate, &separateAll, &ruler,
             &wave, &play, &loop,
             &clock, &transport, &closer, &wider, &equal, &original, &stems, &bar, &message})
        addAndMakeVisible(part);
    for (auto* part : std::initializer_list<juce::Component*>{&list, &loadButton, &remove, &separate,
                                                              &separateAll, &transport, &equal,
                                                              &original, &stems})
        part->setMouseClickGrabsKeyboardFocus(false);
    int order = 1;
    for (auto* part : std::initializer_list<juce::Component*>{&list, &loadButton, &remove, &separate,
                                                              &separateAll, &play, &loop,
                                                              &transport, &closer, &wider, &equal,
                                                              &original, &stems})
        part->setExplicitFocusOrder(order++);
    list.setTitle("Files");
    list.setTextWhenNothingSelected("No file");
    list.setTextWhenNoChoicesAvailable("No file");
    list.onChange = [this] {
        if (const int place = list.getSelectedId() - 1; place >= 0 && place != session.selected())
            session.select(static_cast<std::size_t>(place));
    };
    remove.setTitle("Take this file off the list");
    remove.setTooltip("Takes this file off the list; the file stays where it is");
    remove.onClick = [this] { session.remove(); };
    separateAll.setTooltip("Separates all files of the list that have no stems yet");
    separateAll.onClick = [this] {
        if (onSeparate)
            onSeparate(true);
    };
    info.setFont(Look::font(13.0f));
    info.setColour(juce::Label::textColourId, palette::quiet);
    clock.setFont(Look::font(14.0f));

    loadButton.setTitle("Load an audio file");
    loadButton.onClick = [this] { chooseFile(); };
    separate.onClick = [this] {
        if (session.isSeparating())
            session.cancel();
        else if (onSeparate)
            onSeparate(false);
    };
    play.setTooltip("Play or stop (space)");
    play.onClick = [this] { togglePlay(); };
    loop.setTooltip(
        "Loop the part that is marked in the ruler, or the whole file (L); I and O mark "
                    "where the part begins and ends");
    loop.setClickingTogglesState(true);
    loop.setToggleState(player.isLooping(), juce::dontSendNotification);
    loop.onClick = [this] { player.setLooping(loop.getToggleState()); };
    closer.setTooltip("Show less time (+)");
    closer.onClick = [this] { view.zoom(2.0, player.position()); };
    wider.setTooltip("Show more time (-); 0 for the whole file");
    wider.onClick = [this] { view.zoom(0.5, player.position()); };
    equal.setClickingTogglesState(true);
    equal.setTooltip(
        "Original and stems equally loud, by turning the louder one down: for comparing");
    equal.setToggleState(session.isEqualLoudness(), juce::dontSendNotification);
    equal.onClick = [this] { session.setEqualLoudness(equal.getToggleState()); };
    transport.setTitle("Position");
    transport.setSliderStyle(juce::Slider::LinearHorizontal);
    transport.setTextBoxStyle(juce::Slider::NoTextBox, true, 0, 0);
    transport.setWantsKeyboardFocus(true);
    transport.setDoubleClickReturnValue(true, 0.0);
    transport.textFromValueFunction = [](double value) { return clockText(value); };
    transport.onValueChange = [this] { player.setPosition(transport.getValue()); };
    original.setTitle("Hear the original");
    stems.setTitle("Hear the stems");
    original.setConnectedEdges(juce::Button::ConnectedOnRight);
    stems.setConnectedEdges(juce::Button::ConnectedOnLeft);
    original.onClick = [this] { player.hearStems(false); };
    stems.onClick = [this] { player.hearStems(true); };
    wave.setTitle("Waveform");
    bar.setTitle("Progress of the separation");
    update();
}

void FileSection::load(const juce::Array<juce::File>& files) {
    session.add(files);
    update();
}

void FileSection::chooseFile() {
    const auto start = session.file() == juce::File()
                           ? juce::File::getSpecialLocation(juce::File::userMusicDirectory)
                           : session.file().getParentDirectory();
    // JUCE's own dialog, which has the window's colours wherever it is.
    chooser = std::make_unique<juce::FileChooser>("Load an audio file", start, audioFiles, false);
    // One at a time: where several can be chosen, that dialog takes no typed path.
    const auto flags =
        juce::FileBrowserComponent::openMode | juce::FileBrowserComponent::canSelectFiles;
    chooser->launchAsync(flags, [safe = SafePointer<FileSection>(this)](const auto& chosen) {
        if (safe != nullptr && !chosen.getResults().isEmpty())
            safe->load(chosen.getResults());
    });
}

void FileSection::togglePlay() {
    if (player.isPlaying())
        player.stop();
    else
        player.play();
    update();
}

void FileSection::setDropping(bool is) {
    dropping = is;
    repaint();
}

void FileSection::fill() {
    list.clear(juce::dontSendNotification);
    int id = 0;
    for (const auto& file : session.files()) {
        auto line = file.source.getFileName();
        if (id == session.separatingPlace())
            line << ", separating";
        else if (!file.stems.empty())
            line << ", " << static_cast<int>(file.stems.size()) << " stems";
        list.addItem(line, ++id);
    }
    list.setSelectedId(session.selected() + 1, juce::dontSendNotification);
    list.setTooltip(session.file().getFullPathName());
}

// What changes seldom.
void FileSection::showChange() {
    const bool loaded = session.file() != juce::File();
    const bool playable = session.isPlayable();
    fill();
    info.setText(playable ? clockText(player.length()) + ", " +
                                juce::String(player.sampleRate() / 1000.0) + " kHz"
                          : juce::String(),
                 juce::dontSendNotification);
    wave.show(session.now().playable, loaded ? session.isReading() ? "The engine reads the file"
                                                                   : "This file cannot be played"
                                             : "Drop audio files here, or load them");
    message.say(session.message(), session.failed() ? palette::bad : palette::quiet);
    for (auto* part : std::initializer_list<juce::Component*>{&separate, &remove})
        part->setEnabled(loaded);
    for (auto* part : std::initializer_list<juce::Component*>{&play, &transport, &closer, &wider})
        part->setEnabled(playable);
    if (const bool several = session.files().size() > 1; several != separateAll.isVisible()) {
        separateAll.setVisible(several);
        resized();
    }
    transport.setRange(0.0, juce::jmax(0.001, player.length()), 0.0);
    stems.setEnabled(!session.stems().empty());
    original.setEnabled(playable);
}

void FileSection::update() {
    if (std::exchange(shown, session.version()) != session.version())
        showChange();
    const double now = player.position();
    play.setToggleState(player.isPlaying(), juce::dontSendNotification);
    clock.setText(clockText(now), juce::dontSendNotification);
    if (!transport.isMouseButtonDown())
        transport.setValue(now, juce::dontSendNotification);
    const bool stemsHeard = player.hearsStems();
    original.setToggleState(!stemsHeard && original.isEnabled(), juce::dontSendNotification);
    stems.setToggleState(stemsHeard, juce::dontSendNotification);
    view.follow();
    ruler.update();
    wave.setHeard(!stemsHeard);
    wave.update();
    loop.setToggleState(player.isLooping(), juce::dontSendNotification);
    session.updateLoudness();
    equal.setEnabled(session.canEqualLoudness() || session.isEqualLoudness());
    const bool running = session.isSeparating();
    progress = session.progress();
    if (running)
        bar.setTextToDisplay(session.progressText());
    bar.setVisible(running);
    message.setVisible(!running);
    separateAll.setEnabled(!running);
    separate.setButtonText(running ? "Cancel" : "Separate");
    separate.setColour(juce::TextButton::buttonColourId,
                       running ? palette::control
                               : palette::accent.withMultipliedBrightness(0.65f));
}

void FileSection::paint(juce::Graphics& g) {
    g.setColour(palette::card);
    g.fillRoundedRectangle(getLocalBounds().toFloat(), 8.0f);
    if (dropping) {
        g.setColour(palette::accent);
        g.drawRoundedRectangle(getLocalBounds().toFloat().reduced(1.0f), 8.0f, 2.0f);
    }
}

void FileSection::resized() {
    auto area = getLocalBounds().reduced(12, 10);
    auto top = area.removeFromTop(30);
    separate.setBounds(top.removeFromRight(104));
    top.removeFromRight(8);
    if (separateAll.isVisible()) {
        separateAll.setBounds(top.removeFromRight(112));
        top.removeFromRight(8);
    }
    remove.setBounds(top.removeFromRight(80));
    top.removeFromRight(8);
    loadButton.setBounds(top.removeFromRight(84));
    top.removeFromRight(8);
    info.setBounds(top.removeFromRight(130));
    info.setJustificationType(juce::Justification::centredRight);
    list.setBounds(top.withSizeKeepingCentre(top.getWidth(), 28));
    area.removeFromTop(4);
    auto bottom = area.removeFromBottom(36);
    bar.setBounds(bottom.withSizeKeepingCentre(bottom.getWidth(), 20));
    message.setBounds(bottom);
    area.removeFromBottom(4);
    auto row = area.removeFromBottom(30);
    play.setBounds(row.removeFromLeft(44));
    row.removeFromLeft(6);
    loop.setBounds(row.removeFromLeft(36));
    row.removeFromLeft(6);
    clock.setBounds(row.removeFromLeft(64));
    stems.setBounds(row.removeFromRight(74));
    original.setBounds(row.removeFromRight(80));
    row.removeFromRight(6);
    equal.setBounds(row.removeFromRight(114));
    row.removeFromRight(8);
    closer.setBounds(row.removeFromRight(28).withSizeKeepingCentre(28, 28));
    row.removeFromRight(2);
    wider.setBounds(row.removeFromRight(28).withSizeKeepingCentre(28, 28));
    row.removeFromRight(8);
    transport.setBounds(row);
    area.removeFromBottom(8);
    ruler.setBounds(area.removeFromTop(Ruler::height));
    wave.setBounds(area);
}

} // namespace lars
