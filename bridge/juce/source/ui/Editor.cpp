// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/Editor.h"

namespace lars {
namespace {

constexpr int ticksPerSecond = 30;
constexpr int ticksPerLook = 3; // between looks at the engine, which change slower than the cursor
constexpr int leastWidth = 780, leastFileHeight = 206, sideWidth = 124;
constexpr int margin = 10, headHeight = ModelMenu::height;
constexpr double jumpSeconds = 5.0;
constexpr std::array<int, 6> zooms{75, 100, 125, 150, 175, 200};

} // namespace

// Here and not in processor/, which is below the window.
juce::AudioProcessorEditor* PluginProcessor::createEditor() {
    return new Editor(*this);
}

Editor::Editor(PluginProcessor& processor)
    : AudioProcessorEditor(processor), plugin(processor), view(processor.filePlayer()),
      liveModel(processor, Task::live),
      filesModel(processor, Task::files),
      file(processor.fileSession(), view, cache), stems(processor, view, cache), live(processor),
      render(processor), presetMenu(processor) {
    sections = {{&file, [] { return leastFileHeight; }, 2},
                {&stems, [this] { return stems.bestHeight(); }, 3},
                {&render, [this] { return render.bestHeight(); }, 0},
                {&live, [this] { return live.bestHeight(); }, 0}};
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
             &name, &presetMenu, &liveModel, &filesModel, &zoomLabel, &zoom, &undo, &redo})
        page.addAndMakeVisible(part);
    for (const auto& section : sections) // one is seen when it has something to show
        page.addChildComponent(section.part);
    for (auto* part : std::initializer_list<juce::Component*>{&file, &stems, &live})
        part->setVisible(true);
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
    stems.onLanesChanged = live.onFolded = [this] { resized(); };
    undo.onClick = [this] { plugin.history().undo(); };
    redo.onClick = [this] { plugin.history().redo(); };
    presetMenu.onFailed = [](const juce::String& problem) {
        juce::AlertWindow::showMessageBoxAsync(juce::MessageBoxIconType::WarningIcon, "Presets",
                                               problem);
    };
    int order = 1;
    for (auto* part : std::initializer_list<juce::Component*>{&presetMenu, &liveModel, &filesModel,
                                                              &zoom, &undo, &redo})
        part->setExplicitFocusOrder(order++);
    for (const auto& section : sections)
        section.part->setExplicitFocusOrder(order++);

    setResizable(true, true);
    percent = plugin.windowZoom();
    if (std::find(zooms.begin(), zooms.end(), percent) == zooms.end())
        percent = 100;
    zoom.setSelectedId(percent, juce::dontSendNotification);
    applySize();
    sendLookAndFeelChange();
    timerCallback();
    startTimerHz(ticksPerSecond);
}

Editor::~Editor() {
    stopTimer();
    setLookAndFeel(nullptr);
}

// What the screen has for the window's contents: all of it where the screen is not known. The
// frame, the title bar and the line about the muted input take something.
juce::Rectangle<int> Editor::room() const {
    constexpr int frame = 16, bars = 76;
    const auto& displays = juce::Desktop::getInstance().getDisplays();
    const auto* display = isOnDesktop() || getParentComponent() != nullptr
                              ? displays.getDisplayForRect(getScreenBounds())
                              : displays.getPrimaryDisplay();
    if (display == nullptr || display->userArea.isEmpty())
        return {8192, 8192};
    const auto area = display->userArea;
    return {juce::jmax(400, area.getWidth() - frame), juce::jmax(360, area.getHeight() - bars)};
}

// The keys work from the beginning on and after every dialog: whenever the window system gives our
// window the keyboard and none of our components has it, the window itself takes it. In a host the
// keyboard stays the host's until our window is clicked.
void Editor::takeKeyboard() {
    const auto* focused = juce::Component::getCurrentlyFocusedComponent();
    if (focused != nullptr && (focused == this || isParentOf(focused)))
        return;
    if (juce::ModalComponentManager::getInstance()->getNumModalComponents() > 0 || !isShowing())
        return;
    if (const auto* peer = getPeer(); peer != nullptr && peer->isFocused())
        grabKeyboardFocus();
}

void Editor::parentHierarchyChanged() {
    AudioProcessorEditor::parentHierarchyChanged();
    juce::MessageManager::callAsync([safe = SafePointer<Editor>(this)] {
        if (safe != nullptr)
            safe->takeKeyboard();
    });
}

void Editor::paint(juce::Graphics& graphics) {
    graphics.fillAll(palette::ground);
}

void Editor::resized() {
    viewport.setBounds(getLocalBounds());
    if (!sizing)
        natural = {getWidth() * 100 / percent, getHeight() * 100 / percent};
    const float scale = static_cast<float>(percent) / 100.0f;
    // A window too low or too narrow for everything scrolls.
    const auto inside = [scale](int length) {
        return static_cast<int>(static_cast<float>(length) / scale);
    };
    const int least = leastHeight();
    const bool scrolls = least > inside(getHeight());
    const int bar = scrolls ? viewport.getScrollBarThickness() : 0;
    page.setTransform(juce::AffineTransform::scale(scale));
    page.setSize(juce::jmax(leastWidth, inside(getWidth() - bar)),
                 juce::jmax(least, inside(getHeight())));
    layOut();
}

int Editor::leastHeight() const {
    int height = 2 * margin + headHeight;
    for (const auto& section : sections)
        if (section.part->isVisible())
            height += margin + section.height();
    return height;
}

void Editor::layOut() {
    auto area = page.getLocalBounds().reduced(margin);
    auto top = area.removeFromTop(headHeight);
    auto left = top.removeFromLeft(sideWidth), right = top.removeFromRight(sideWidth);
    name.setBounds(left.removeFromTop(32));
    presetMenu.setBounds(left.removeFromTop(30));
    auto row = right.removeFromTop(28);
    zoom.setBounds(row.removeFromRight(82));
    zoomLabel.setBounds(row);
    right.removeFromTop(6);
    row = right.removeFromTop(28);
    redo.setBounds(row.removeFromRight(38));
    row.removeFromRight(6);
    undo.setBounds(row.removeFromRight(38));
    top = top.reduced(2 * margin, 0);
    const int half = (top.getWidth() - margin) / 2;
    liveModel.setBounds(top.removeFromLeft(half));
    filesModel.setBounds(top.withTrimmedLeft(margin));
    // What is left over goes to the waveforms.
    int shares = 0;
    for (const auto& section : sections)
        shares += section.share;
    const int spare = juce::jmax(0, page.getHeight() - leastHeight());
    for (const auto& section : sections) {
        if (!section.part->isVisible())
            continue;
        area.removeFromTop(margin);
        const int more = shares > 0 ? spare * section.share / shares : 0;
        section.part->setBounds(area.removeFromTop(section.height() + more));
    }
}

void Editor::zoomTo(int wanted) {
    if (wanted == percent || wanted <= 0)
        return;
    percent = wanted;
    plugin.setWindowZoom(percent);
    zoom.setSelectedId(percent, juce::dontSendNotification);
    applySize();
    resized();
    if (auto* window = dynamic_cast<juce::ResizableWindow*>(getTopLevelComponent()))
        window->setBoundsConstrained(window->getBounds()); // with all of it on the screen
}

// What is larger than the screen scrolls; smaller again, the window is as large as it was.
void Editor::applySize() {
    const juce::ScopedValueSetter<bool> mine(sizing, true);
    const auto most = room();
    setResizeLimits(juce::jmin(leastWidth * percent / 100, most.getWidth()), 360, 8192, 8192);
    setSize(juce::jmin(natural.x * percent / 100, most.getWidth()),
            juce::jmin(natural.y * percent / 100, most.getHeight()));
}

void Editor::zoomBy(int steps) {
    const auto now = std::find(zooms.begin(), zooms.end(), percent) - zooms.begin();
    const auto next =
        juce::jlimit(0, static_cast<int>(zooms.size()) - 1, static_cast<int>(now) + steps);
    zoomTo(zooms[static_cast<std::size_t>(next)]);
}

bool Editor::pressWithCtrl(const juce::KeyPress& key) {
    const int code = key.getKeyCode();
    if (code == '+' || code == '=' || code == juce::KeyPress::numberPadAdd)
        zoomBy(1);
    else if (code == '-' || code == juce::KeyPress::numberPadSubtract)
        zoomBy(-1);
    else if (code == '0')
        zoomTo(100);
    else if (code == 'o' || code == 'O')
        file.chooseFile();
    else if (code == 'y' || code == 'Y' ||
             ((code == 'z' || code == 'Z') && key.getModifiers().isShiftDown()))
        plugin.history().redo();
    else if (code == 'z' || code == 'Z')
        plugin.history().undo();
    else
        return false;
    return true;
}

// Zoom and loop.
bool Editor::pressTime(const juce::KeyPress& key) {
    auto& player = plugin.filePlayer();
    const auto loop = player.loopRegion();
    const double now = player.position(), end = loop.isEmpty() ? player.length() : loop.getEnd();
    switch (juce::CharacterFunctions::toLowerCase(key.getTextCharacter())) {
    case '+':
    case '=':
        view.zoom(2.0, now);
        return true;
    case '-':
        view.zoom(0.5, now);
        return true;
    case '0':
        view.showAll();
        return true;
    case 'l':
        player.setLooping(!player.isLooping());
        return true;
    case 'i':
        view.loopOver({now, end > now ? end : player.length()});
        return true;
    case 'o':
        view.loopOver({loop.getStart() < now ? loop.getStart() : 0.0, now});
        return true;
    default:
        return false;
    }
}

bool Editor::keyPressed(const juce::KeyPress& key) {
    auto& player = plugin.filePlayer();
    const int code = key.getKeyCode();
    if (key.getModifiers().isCommandDown())
        return pressWithCtrl(key);
    if (code == juce::KeyPress::spaceKey)
        file.togglePlay();
    else if (code == juce::KeyPress::homeKey)
        player.setPosition(player.isLooping() ? player.loopRegion().getStart() : 0.0);
    else if (code == juce::KeyPress::leftKey)
        player.setPosition(player.position() - jumpSeconds);
    else if (code == juce::KeyPress::rightKey)
        player.setPosition(player.position() + jumpSeconds);
    else
        return pressTime(key);
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
    const auto* preset = presetOf(juce::roundToInt(quality->load()));
    auto& session = plugin.fileSession();
    if (all)
        session.separateAll(plugin.modelName(Task::files), preset);
    else
        session.separate(plugin.modelName(Task::files), preset);
}

void Editor::timerCallback() {
    file.update();
    stems.update();
    live.updateMeter();
    takeKeyboard();
    if (++ticks % ticksPerLook == 1) {
        live.update();
        if (render.update())
            resized();
        showHistory();
        const auto status = plugin.engine().status();
        liveModel.update(status);
        filesModel.update(status);
    }
}

void Editor::showHistory() {
    auto& history = plugin.history();
    undo.setEnabled(history.canUndo());
    redo.setEnabled(history.canRedo());
    undo.setTooltip("Undo " + history.undoName() + " (Ctrl-Z)");
    redo.setTooltip("Redo " + history.redoName() + " (Ctrl-Shift-Z)");
}

} // namespace lars
