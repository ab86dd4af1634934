// UTF-8 text as a terminal shows it: how many columns it takes, and cutting it to a number of them.
//
// Bytes that are no UTF-8 count one column each and are kept as they are.
// Thread safety: pure functions. Across fork: nothing is kept.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace brood::bars {

// 0 for combining marks and other characters without a place of their own, 2 for East Asian wide ones and emoji.
int character_width(char32_t character) noexcept;

// The length in bytes of the character at the front of `text` (which is not empty), and the character itself.
struct Character {
  std::size_t bytes;
  char32_t value;
};
Character first_character(std::string_view text) noexcept;
std::vector<std::string> split_characters(std::string_view text);

// The length of the colour or other control sequence (ESC [ ... letter) at the front of `text`, 0 when there is none.
std::size_t control_sequence(std::string_view text) noexcept;

// Columns on the screen; control sequences take none.
int display_width(std::string_view text) noexcept;

// The longest front of `text` that takes at most `columns`. Colours that are still on at the cut are switched off.
std::string cut_to_width(std::string_view text, int columns);

// One line that cannot move the cursor: control characters become blanks, control sequences other than colours go.
enum class Colours { keep, remove };
std::string single_line(std::string_view text, Colours colours);

// Whether the environment (LC_ALL, LC_CTYPE, LANG) says that text is UTF-8.
bool locale_is_utf8() noexcept;

}  // namespace brood::bars
