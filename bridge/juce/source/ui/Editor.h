// SPDX-License-Identifier: GPL-3.0-or-later
// The window: presets and models, file, stems, live, in the order of working with it.
#pragma once

#include "processor/PluginProcessor.h"
#include "ui/FileSection.h"
#include "ui/LiveSection.h"
#include "ui/Look.h"
#include "ui/ModelMenu.h"
#include "ui/PresetMenu.h"
#include "ui/RenderSection.h"
#include "ui/StemsSection.h"

namespace lars {

class Editor : public juce::AudioProcessorEditor,
               public juce::FileDragAndDropTarget,
               private juce::Timer {
public:
    explicit Editor(PluginProcessor& processor);
    ~Editor() override;

    void paint(juce::Graphics& graphics) override;
    void resized() override;
    void parentHierarchyChanged() override;
    bool keyPressed(const juce::KeyPress& key) override;
    bool isInterestedInFileDrag(const juce::StringArray& files) override;
    void fileDragEnter(const juce::StringArray&, int, int) override { file.setDropping(true); }
    void fileDragExit(const juce::StringArray&) override { file.setDropping(false); }
    void filesDropped(const juce::StringArray& files, int, int) override;

private:
    // Everything, laid out at 100 %; the zoom is a transform of it.
    struct Page : juce::Component {
        std::function<void()> onResized;
        void resized() override { onResized(); }
    };

    void timerCallback() override;
    void layOut();
    void takeKeyboard();
    juce::Rectangle<int> room() const;
    bool pressTime(const juce::KeyPress& key);
    bool pressWithCtrl(const juce::KeyPress& key);
    void showHistory();
    // What is stacked below the head, from the top. A section that is visible takes its height, and
    // of what is left over its share; a new one is a row here.
    struct Section {
        juce::Component* part;
        std::function<int()> height;
        int share;
    };
    int leastHeight() const;
    void applySize();
    void zoomTo(int percent);
    void zoomBy(int steps);
    void separate(bool all);

    PluginProcessor& plugin;
    juce::SharedResourcePointer<Look> look;
    WaveCache cache;
    TimeView view;
    juce::Viewport viewport;
    Page page;
    juce::Label name, zoomLabel;
    juce::ComboBox zoom;
    ModelMenu liveModel, filesModel;
    FileSection file;
    StemsSection stems;
    LiveSection live;
    RenderSection render;
    PresetMenu presetMenu;
    IconButton undo{"Undo", IconButton::Icon::undo}, redo{"Redo", IconButton::Icon::redo};
    std::vector<Section> sections;
    juce::TooltipWindow tooltips{this, 600};
    int percent = 100, ticks = 0;
    juce::Point<int> natural{920, 906}; // the size at 100 % that the user has given the window
    bool sizing = false;
};

} // namespace lars
