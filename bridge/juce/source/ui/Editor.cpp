// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/Editor.h"

namespace lars {
namespace {

constexpr int ticksPerSecond = 30;
constexpr int ticksPerLook = 3; // between looks at the engine, which change slower than the cursor
constexpr int bestWidth = 920, bestHeight = 906;
constexpr int leastWidth = 720, leastFileHeight = 190;
constexpr int margin = 10, headHeight = ModelMenu::height;
constexpr double jumpSeconds = 5.0;
constexpr std::array<int, 6> zooms{75, 100, 125, 150, 175, 200};

} // namespace

// Here and not in processor/, which is below the window.
juce::AudioProcessorEditor* PluginProcessor::createEditor() {
    return new Editor(*this);
}

Editor::Editor(PluginProcessor& processor)
    : AudioProcessorEditor(processor), plugin(processor), liveModel(processor, Task::live),
      filesModel(processor, Task::files),
      file(processor.fileSession(), processor.filePlayer(), cache),
      stems(processor.fileSession(), processor.midiFiles(), processor.filePlayer(),
            processor.parameters(), cache),
      live(processor), render(processor) {
    setLookAndFeel(&look.get());
    juce::LookAndFeel::setDefaultLookAndFeel(&look.get()); // of dialogs, which are windows of their own
    setTitle("LARS");
    setWantsKeyboardFocus(true);
    addAndMakeVisible(viewport);
    viewport.setViewedComponent(&page, false);
    viewport.setScrollBarsShown(true, true);
    viewport.setWantsKeyboardFocus(false);
    page.onResized = [this] { layOut(); };
    for (auto* part : std::initializer_list<juce::Component*>{
             &name, &liveModel, &filesModel, &zoomLabel, &zoom, &file, &stems, &live})
        page.addAndMakeVisible(part);
    name.setText("LARS", juce::dontSendNotification);
    name.setFont(Look::font(24.0f, true));
    name.setColour(juce::Label::textColourId, palette::accent);
    zoomLabel.setText("Size", juce::dontSendNotification);
    zoomLabel.setFont(Look::font(14.0f));
    zoomLabel.setColour(juce::Label::textColourId, palette::quiet);
    zoomLabel.setJustificationType(juce::Justification::centredRight);
    zoom.setTitle("Size of the window's contents");
    zoom.setTooltip("Ctrl and + or -; Ctrl and 0 for 100 %");
    for (const int step : zooms)
        zoom.addItem(juce::String(step) + " %", step);
    zoom.onChange = [this] { zoomTo(zoom.getSelectedId()); };
    zoom.setMouseClickGrabsKeyboardFocus(false);
    file.onSeparate = [this](bool all) { separate(all); };
    stems.onLanesChanged = [this] { resized(); };
    page.addChildComponent(render);
    int order = 1;
    for (auto* part : std::initializer_list<juce::Component*>{&liveModel, &filesModel, &zoom, &file, &stems,
                                                              &render, &live})
        part->setExplicitFocusOrder(order++);

    setResizable(true, true);
    percent = plugin.windowZoom();
    if (std::find(zooms.begin(), zooms.end(), percent) == zooms.end())
        percent = 100;
    zoom.setSelectedId(percent, juce::dontSendNotification);
    setResizeLimits(leastWidth * percent / 100, 360, 8192, 8192);
    setSize(bestWidth * percent / 100, bestHeight * percent / 100);
    sendLookAndFeelChange();
    timerCallback();
    startTimerHz(ticksPerSecond);
}

Editor::~Editor() {
    stopTimer();
    setLookAndFeel(nullptr);
}

// The keys work from the beginning on; in a host they are the host's until the window is clicked.
void Editor::parentHierarchyChanged() {
    AudioProcessorEditor::parentHierarchyChanged();
    if (!juce::JUCEApplicationBase::isStandaloneApp())
        return;
    juce::MessageManager::callAsync([safe = SafePointer<Editor>(this)] {
        if (safe != nullptr && safe->isShowing() && !safe->hasKeyboardFocus(true))
            safe->grabKeyboardFocus();
    });
}

void Editor::paint(juce::Graphics& graphics) {
    graphics.fillAll(palette::ground);
}

void Editor::resized() {
    viewport.setBounds(getLocalBounds());
    const float scale = static_cast<float>(percent) / 100.0f;
    // A window too low for everything scrolls.
    const int least =
        5 * margin + headHeight + leastFileHeight + stems.bestHeight() + LiveSection::bestHeight +
        render.bestHeight() + (render.isVisible() ? margin : 0);
    const int height = juce::jmax(least, static_cast<int>(static_cast<float>(getHeight()) / scale));
    const bool scrolls = height > static_cast<int>(static_cast<float>(getHeight()) / scale);
    const float bar = scrolls ? static_cast<float>(viewport.getScrollBarThickness()) : 0.0f;
    const int width = static_cast<int>((static_cast<float>(getWidth()) - bar) / scale);
    page.setTransform(juce::AffineTransform::scale(scale));
    page.setSize(width, height);
    layOut();
}

void Editor::layOut() {
    auto area = page.getLocalBounds().reduced(margin);
    auto top = area.removeFromTop(headHeight);
    name.setBounds(top.removeFromLeft(84));
    zoom.setBounds(top.removeFromRight(88).withSizeKeepingCentre(88, 28));
    zoomLabel.setBounds(top.removeFromRight(46));
    top.removeFromRight(margin);
    const int half = (top.getWidth() - margin) / 2;
    liveModel.setBounds(top.removeFromLeft(half));
    filesModel.setBounds(top.withTrimmedLeft(margin));
    area.removeFromTop(margin);
    live.setBounds(area.removeFromBottom(LiveSection::bestHeight));
    area.removeFromBottom(margin);
    if (render.isVisible()) {
        render.setBounds(area.removeFromBottom(render.bestHeight()));
        area.removeFromBottom(margin);
    }
    // What is left over goes to the waveforms: two fifths to the file's.
    const int spare =
        juce::jmax(0, area.getHeight() - margin - leastFileHeight - stems.bestHeight());
    file.setBounds(area.removeFromTop(leastFileHeight + spare * 2 / 5));
    area.removeFromTop(margin);
    stems.setBounds(area);
}

void Editor::zoomTo(int wanted) {
    if (wanted == percent || wanted <= 0)
        return;
    const double factor = static_cast<double>(wanted) / percent;
    percent = wanted;
    plugin.setWindowZoom(percent);
    zoom.setSelectedId(percent, juce::dontSendNotification);
    setResizeLimits(leastWidth * percent / 100, 360, 8192, 8192);
    setSize(juce::roundToInt(getWidth() * factor), juce::roundToInt(getHeight() * factor));
    resized();
}

void Editor::zoomBy(int steps) {
    const auto now = std::find(zooms.begin(), zooms.end(), percent) - zooms.begin();
    const auto next =
        juce::jlimit(0, static_cast<int>(zooms.size()) - 1, static_cast<int>(now) + steps);
    zoomTo(zooms[static_cast<std::size_t>(next)]);
}

bool Editor::keyPressed(const juce::KeyPress& key) {
    auto& player = plugin.filePlayer();
    const int code = key.getKeyCode();
    if (key.getModifiers().isCommandDown()) {
        if (code == '+' || code == '=' || code == juce::KeyPress::numberPadAdd)
            zoomBy(1);
        else if (code == '-' || code == juce::KeyPress::numberPadSubtract)
            zoomBy(-1);
        else if (code == '0')
            zoomTo(100);
        else if (code == 'o' || code == 'O')
            file.chooseFile();
        else
            return false;
        return true;
    }
    if (code == juce::KeyPress::spaceKey)
        file.togglePlay();
    else if (code == juce::KeyPress::homeKey)
        player.setPosition(0.0);
    else if (code == juce::KeyPress::leftKey)
        player.setPosition(player.position() - jumpSeconds);
    else if (code == juce::KeyPress::rightKey)
        player.setPosition(player.position() + jumpSeconds);
    else
        return false;
    return true;
}

// Whatever it is called: the engine says whether it is audio.
bool Editor::isInterestedInFileDrag(const juce::StringArray& files) {
    return !files.isEmpty();
}

void Editor::filesDropped(const juce::StringArray& files, int, int) {
    file.setDropping(false);
    juce::Array<juce::File> dropped;
    for (const auto& path : files)
        if (juce::File(path).existsAsFile())
            dropped.add(juce::File(path));
    if (!dropped.isEmpty())
        file.load(dropped);
}

void Editor::separate(bool all) {
    const auto* quality = plugin.parameters().getRawParameterValue(ids::quality);
    constexpr std::array<const char*, 4> presets{"", "fast", "balanced", "best"};
    const auto which =
        static_cast<std::size_t>(juce::jlimit(0, 3, juce::roundToInt(quality->load())));
    auto& session = plugin.fileSession();
    if (all)
        session.separateAll(plugin.modelName(Task::files), presets[which]);
    else
        session.separate(plugin.modelName(Task::files), presets[which]);
}

void Editor::timerCallback() {
    file.update();
    stems.update();
    if (++ticks % ticksPerLook == 1) {
        live.update();
        if (render.update())
            resized();
        const auto status = plugin.engine().status();
        liveModel.update(status);
        filesModel.update(status);
    }
}

} // namespace lars
