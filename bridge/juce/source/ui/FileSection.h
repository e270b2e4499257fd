// SPDX-License-Identifier: GPL-3.0-or-later
// The file: its waveform, the transport, and its separation.
#pragma once

#include "player/FileSession.h"
#include "ui/IconButton.h"
#include "ui/MessageText.h"
#include "ui/Ruler.h"
#include "ui/WaveView.h"

namespace lars {

class FileSection : public juce::Component {
public:
    FileSection(FileSession& session, TimeView& view, WaveCache& cache);

    void load(const juce::Array<juce::File>& files);
    void chooseFile();
    void togglePlay();
    void update();                    // many times a second
    void setDropping(bool dropping);  // a file is held over the window
    std::function<void(bool all)> onSeparate; // a button was pressed

    void paint(juce::Graphics& graphics) override;
    void resized() override;

private:
    void showChange();

    FileSession& session;
    TimeView& view;
    FilePlayer& player;
    void fill();

    juce::ComboBox list;
    juce::Label info, clock;
    MessageText message;
    juce::TextButton loadButton{"Load..."}, separate{"Separate"},
        separateAll{"Separate all"}, remove{"Remove"}, original{"Original"},
        stems{"Stems"};
    IconButton play{"Play or stop", IconButton::Icon::play};
    IconButton loop{"Loop at the end", IconButton::Icon::loop};
    IconButton closer{"Closer in time", IconButton::Icon::closer};
    IconButton wider{"Wider in time", IconButton::Icon::wider};
    juce::TextButton equal{"Equal loudness"};
    juce::Slider transport;
    double progress = 0.0;
    juce::ProgressBar bar{progress};
    Ruler ruler;
    WaveView wave;
    std::unique_ptr<juce::FileChooser> chooser;
    bool dropping = false;
    int shown = -1;
};

// Minutes, seconds and tenths.
juce::String clockText(double seconds);

} // namespace lars
