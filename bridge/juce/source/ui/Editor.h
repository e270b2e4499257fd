// SPDX-License-Identifier: GPL-3.0-or-later
// The window: models, file, stems, live; top to bottom, in the order of working with it.
#pragma once

#include "processor/PluginProcessor.h"
#include "ui/FileSection.h"
#include "ui/LiveSection.h"
#include "ui/Look.h"
#include "ui/ModelMenu.h"
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
    void zoomTo(int percent);
    void zoomBy(int steps);
    void separate(bool all);

    PluginProcessor& plugin;
    juce::SharedResourcePointer<Look> look;
    WaveCache cache;
    juce::Viewport viewport;
    Page page;
    juce::Label name, zoomLabel;
    juce::ComboBox zoom;
    ModelMenu liveModel, filesModel;
    FileSection file;
    StemsSection stems;
    LiveSection live;
    RenderSection render;
    juce::TooltipWindow tooltips{this, 600};
    int percent = 100, ticks = 0;
};

} // namespace lars
