// SPDX-License-Identifier: GPL-3.0-or-later
// Colours, shapes and type of the window.
#pragma once

#include <juce_gui_basics/juce_gui_basics.h>

namespace lars {

namespace palette {
inline const juce::Colour ground{0xff14171c};  // behind everything
inline const juce::Colour card{0xff1d2229};    // a section
inline const juce::Colour well{0xff12151a};    // where waveforms lie
inline const juce::Colour control{0xff2c333d}; // a button
inline const juce::Colour line{0xff3a4350};
inline const juce::Colour text{0xffe8ecf1};
inline const juce::Colour quiet{0xffa3aebb}; // text of less weight
inline const juce::Colour accent{0xff5cc8ff};
inline const juce::Colour good{0xff63d297};
inline const juce::Colour warn{0xffffb454};
inline const juce::Colour bad{0xffff7b72};
} // namespace palette

// The colour of a stem wherever it is seen.
juce::Colour stemColour(const juce::String& stem);

class Look : public juce::LookAndFeel_V4 {
public:
    Look();
    ~Look() override;

    static juce::Font font(float height, bool bold = false);

    void drawButtonBackground(juce::Graphics&, juce::Button&, const juce::Colour&, bool over,
                              bool down) override;
    void drawButtonText(juce::Graphics&, juce::TextButton&, bool over, bool down) override;
    juce::Font getTextButtonFont(juce::TextButton&, int) override { return font(14.0f); }
    void drawToggleButton(juce::Graphics&, juce::ToggleButton&, bool over, bool down) override;
    void drawComboBox(juce::Graphics&, int width, int height, bool down, int, int, int, int,
                      juce::ComboBox&) override;
    juce::Font getComboBoxFont(juce::ComboBox&) override { return font(14.0f); }
    void positionComboBoxText(juce::ComboBox&, juce::Label&) override;
    juce::Font getPopupMenuFont() override { return font(14.0f); }
    juce::Font getLabelFont(juce::Label& label) override { return label.getFont(); }
    void drawLinearSlider(juce::Graphics&, int x, int y, int width, int height, float position,
                          float, float, juce::Slider::SliderStyle, juce::Slider&) override;
    // A pan: the arc goes from the middle.
    void drawRotarySlider(juce::Graphics&, int x, int y, int width, int height, float position,
                          float startAngle, float endAngle, juce::Slider&) override;
    int getSliderThumbRadius(juce::Slider&) override { return 8; }
    void drawTextEditorOutline(juce::Graphics&, int width, int height, juce::TextEditor&) override;
    void drawProgressBar(juce::Graphics&, juce::ProgressBar&, int width, int height,
                         double progress, const juce::String& text) override;
};

// The ring around what the keyboard goes to.
void drawFocus(juce::Graphics& graphics, const juce::Component& component,
               juce::Rectangle<float> area, float corner);

} // namespace lars
