// SPDX-License-Identifier: GPL-3.0-or-later
// The standalone program: JUCE's player of a plugin in a window that looks like the plugin's, with
// a menu, and a line that says when the input is muted.
#include <juce_audio_devices/juce_audio_devices.h>
#include <juce_audio_utils/juce_audio_utils.h>
#include <juce_gui_extra/juce_gui_extra.h>

// What the next header calls; Create.cpp has it.
juce::AudioProcessor* JUCE_CALLTYPE createPluginFilter();

#include <juce_audio_plugin_client/Standalone/juce_StandaloneFilterWindow.h>

#include "processor/PluginProcessor.h"
#include "processor/State.h"
#include "ui/Look.h"

namespace lars {
namespace {

constexpr int noticeHeight = 30;

// The input is muted at first, as a microphone beside loudspeakers would howl.
class Notice : public juce::Component {
public:
    explicit Notice(juce::StandalonePluginHolder& holder) {
        for (auto* part : std::initializer_list<juce::Component*>{&line, &unmute, &settings}) {
            addAndMakeVisible(part);
            part->setMouseClickGrabsKeyboardFocus(false);
        }
        line.setText("The input is muted, so that loudspeakers and a microphone cannot howl.",
                     juce::dontSendNotification);
        line.setFont(Look::font(13.0f));
        line.setColour(juce::Label::textColourId, palette::quiet);
        unmute.setTitle("Unmute the input");
        unmute.onClick = [&holder] { holder.getMuteInputValue().setValue(false); };
        settings.setTitle("Audio and MIDI settings");
        settings.onClick = [&holder] { holder.showAudioSettingsDialog(); };
    }

    void paint(juce::Graphics& g) override {
        g.fillAll(palette::card);
        g.setColour(palette::warn);
        g.fillEllipse(juce::Rectangle<float>(8.0f, 8.0f).withCentre({19.0f, noticeHeight / 2.0f}));
    }

    void resized() override {
        auto area = getLocalBounds().reduced(10, 3);
        settings.setBounds(area.removeFromRight(88));
        area.removeFromRight(6);
        unmute.setBounds(area.removeFromRight(80));
        line.setBounds(area.withTrimmedLeft(18));
    }

private:
    juce::Label line;
    juce::TextButton unmute{"Unmute"}, settings{"Settings..."};
};

// The notice, where there is something to say, above the plugin's window, whose size counts.
class Contents : public juce::Component,
                 private juce::ComponentListener,
                 private juce::Value::Listener {
public:
    explicit Contents(juce::StandalonePluginHolder& player)
        : holder(player), notice(player), editor(player.processor->createEditorIfNeeded()) {
        muted.referTo(holder.getMuteInputValue());
        muted.addListener(this);
        addChildComponent(notice);
        addAndMakeVisible(*editor);
        editor->addComponentListener(this);
        showNotice();
    }
    ~Contents() override {
        editor->removeComponentListener(this);
        holder.processor->editorBeingDeleted(editor.get());
    }

    juce::AudioProcessorEditor& plugin() { return *editor; }
    int extra() const { return notice.isVisible() ? noticeHeight : 0; }

    void resized() override {
        auto area = getLocalBounds();
        notice.setBounds(area.removeFromTop(extra()));
        const juce::ScopedValueSetter<bool> mine(resizing, true);
        editor->setBounds(area);
    }

private:
    void componentMovedOrResized(juce::Component&, bool, bool wasResized) override {
        if (wasResized && !resizing)
            setSize(editor->getWidth(), editor->getHeight() + extra());
    }
    void valueChanged(juce::Value&) override { showNotice(); }
    void showNotice() {
        notice.setVisible(static_cast<bool>(muted.getValue()));
        setSize(editor->getWidth(), editor->getHeight() + extra());
        resized();
    }

    juce::StandalonePluginHolder& holder;
    Notice notice;
    std::unique_ptr<juce::AudioProcessorEditor> editor;
    juce::Value muted;
    bool resizing = false;
};

class Window : public juce::DocumentWindow {
public:
    Window(const juce::String& name, juce::PropertySet* kept)
        : DocumentWindow(name, palette::ground, DocumentWindow::allButtons), holder(kept, false) {
        setTitleBarButtonsRequired(DocumentWindow::allButtons, false);
        Component::addAndMakeVisible(menuButton);
        menuButton.setMouseClickGrabsKeyboardFocus(false);
        menuButton.onClick = [this] { openMenu(); };
        limits.window = this;
        limits.setMinimumOnscreenAmounts(0x10000, 16, 24, 16);
        fill();
        setResizable(true, false);
        setConstrainer(&limits);
        const auto* display = juce::Desktop::getInstance().getDisplays().getPrimaryDisplay();
        auto place = display != nullptr
                          ? display->userArea.withSizeKeepingCentre(getWidth(), getHeight())
                                        : getBounds();
        if (kept->containsKey("windowX") && kept->containsKey("windowY"))
            place.setPosition(kept->getIntValue("windowX"), kept->getIntValue("windowY"));
        if (display != nullptr)
            if (const auto* there =
                    juce::Desktop::getInstance().getDisplays().getDisplayForRect(place))
                place = place.constrainedWithin(there->userArea);
        setBoundsConstrained(place);
    }
    ~Window() override {
        if (auto* kept = holder.settings.get()) {
            kept->setValue("windowX", getX());
            kept->setValue("windowY", getY());
        }
        holder.stopPlaying();
        clearContentComponent();
    }

    void keep() { holder.savePluginState(); }
    void closeButtonPressed() override {
        keep();
        juce::JUCEApplicationBase::quit();
    }
    void resized() override {
        DocumentWindow::resized();
        menuButton.setBounds(8, 5, 70, getTitleBarHeight() - 4);
    }

private:
    // No smaller than the plugin's own window may be.
    struct Limits : juce::ComponentBoundsConstrainer {
        Window* window = nullptr;
        void checkBounds(juce::Rectangle<int>& bounds, const juce::Rectangle<int>& before,
                         const juce::Rectangle<int>& screen, bool top, bool left, bool bottom,
                         bool right) override {
            if (auto* inside = dynamic_cast<Contents*>(window->getContentComponent()))
                if (const auto* own = inside->plugin().getConstrainer()) {
                    const auto border = window->getContentComponentBorder();
                    setMinimumSize(own->getMinimumWidth() + border.getLeftAndRight(),
                                   own->getMinimumHeight() + border.getTopAndBottom() +
                                       inside->extra());
                }
            ComponentBoundsConstrainer::checkBounds(bounds, before, screen, top, left, bottom,
                                                    right);
        }
    };

    void fill() { setContentOwned(new Contents(holder), true); }

    void openMenu() {
        juce::PopupMenu menu;
        menu.addItem(1, "Audio and MIDI settings...");
        menu.addSeparator();
        menu.addItem(2, "Save the session...");
        menu.addItem(3, "Load a session...");
        menu.addSeparator();
        menu.addItem(4, "Reset everything");
        menu.showMenuAsync(juce::PopupMenu::Options().withTargetComponent(menuButton),
                           [safe = SafePointer<Window>(this)](int chosen) {
                               if (safe == nullptr)
                                   return;
                               if (chosen == 1)
                                   safe->holder.showAudioSettingsDialog();
                               else if (chosen == 2 || chosen == 3)
                                   safe->askForFile(chosen == 2);
                               else if (chosen == 4)
                                   safe->reset();
                           });
    }

    // JUCE's own dialog, which has the window's colours.
    void askForFile(bool save) {
        using Browser = juce::FileBrowserComponent;
        chooser = std::make_unique<juce::FileChooser>(save ? "Save the session" : "Load a session",
                                                      holder.getLastFile(), juce::String(), false);
        const int flags = Browser::canSelectFiles |
                          (save ? Browser::saveMode | Browser::warnAboutOverwriting
                                : static_cast<int>(Browser::openMode));
        chooser->launchAsync(flags, [safe = SafePointer<Window>(this), save](const auto& asked) {
            if (safe == nullptr || asked.getResult() == juce::File())
                return;
            safe->holder.setLastFile(asked);
            const auto problem = save ? safe->saveTo(asked.getResult())
                                      : safe->loadFrom(asked.getResult());
            if (problem.isNotEmpty())
                juce::AlertWindow::showMessageBoxAsync(juce::MessageBoxIconType::WarningIcon,
                                                       "Session", problem);
        });
    }

    juce::String saveTo(const juce::File& file) {
        juce::MemoryBlock data;
        holder.processor->getStateInformation(data);
        return file.replaceWithData(data.getData(), data.getSize())
                   ? juce::String()
                   : "cannot write " + file.getFullPathName() +
                         ": is the disk full, or the folder read-only?";
    }

    juce::String loadFrom(const juce::File& file) {
        juce::MemoryBlock data;
        if (!file.loadFileAsData(data))
            return "cannot read " + file.getFullPathName();
        const auto size = static_cast<int>(data.getSize());
        if (!loadState(data.getData(), size, "lars"))
            return file.getFileName() + " is not a session of LARS";
        holder.processor->setStateInformation(data.getData(), size);
        return {};
    }

    void reset() {
        holder.stopPlaying();
        clearContentComponent();
        holder.deletePlugin();
        if (auto* kept = holder.settings.get())
            kept->removeValue("filterState");
        holder.createPlugin();
        fill();
        holder.startPlaying();
    }

    juce::StandalonePluginHolder holder;
    Limits limits;
    juce::TextButton menuButton{"Options"};
    std::unique_ptr<juce::FileChooser> chooser;
};

class App : public juce::JUCEApplication {
public:
    App() {
        juce::PropertiesFile::Options options;
        options.applicationName = getApplicationName();
        options.filenameSuffix = ".settings";
        options.osxLibrarySubFolder = "Application Support";
#if JUCE_LINUX || JUCE_BSD
        options.folderName = "~/.config";
#endif
        properties.setStorageParameters(options);
    }

    const juce::String getApplicationName() override { return "LARS"; }
    const juce::String getApplicationVersion() override { return LARS_VERSION; }
    bool moreThanOneInstanceAllowed() override { return true; }

    void initialise(const juce::String&) override {
        look.emplace();
        juce::LookAndFeel::setDefaultLookAndFeel(&look->get());
        window = std::make_unique<Window>(getApplicationName(), properties.getUserSettings());
        window->setVisible(true);
        window->toFront(true);
    }

    void shutdown() override {
        window = nullptr;
        properties.saveIfNeeded();
        juce::LookAndFeel::setDefaultLookAndFeel(nullptr);
        look.reset();
    }

    void systemRequestedQuit() override {
        if (window != nullptr)
            window->keep();
        if (juce::ModalComponentManager::getInstance()->cancelAllModalComponents())
            juce::Timer::callAfterDelay(100, [] {
                if (auto* app = juce::JUCEApplicationBase::getInstance())
                    app->systemRequestedQuit();
            });
        else
            quit();
    }

private:
    juce::ApplicationProperties properties;
    std::optional<juce::SharedResourcePointer<Look>> look;
    std::unique_ptr<Window> window;
};

} // namespace
} // namespace lars

JUCE_CREATE_APPLICATION_DEFINE(lars::App)
