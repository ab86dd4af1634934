// A small terminal: interprets what is written to it, so that tests look at what a person would see.
//
// It knows what a VT100 knows of printing, CR, LF, cursor movement, erasing and colours (which it ignores), wraps long
// lines with the wrap pending at the last column, and scrolls. Its lines wrap anew when it becomes narrower, as in most
// of today's terminals. Anything it does not know is noted in strange().
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "progress/text.hpp"

namespace brood::testing {

class Emulator {
 public:
  Emulator(int columns, int rows) : columns_(columns), rows_(rows) {}

  void feed(std::string_view bytes) {
    pending_ += bytes;
    while (!pending_.empty()) {
      const std::size_t used = step(pending_);
      if (used == 0) return;  // a sequence or character that is not complete yet
      pending_.erase(0, used);
    }
  }

  void resize(int columns, int rows) {
    std::vector<Line> lines;
    std::size_t cursor_row = 0;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      Line line = trimmed(lines_[i], i == row_ ? column_ : 0);
      if (i == row_) cursor_row = lines.size() + column_ / static_cast<std::size_t>(columns);
      do {
        const std::size_t width = std::min(line.size(), static_cast<std::size_t>(columns));
        lines.emplace_back(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(width));
        line.erase(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(width));
      } while (!line.empty());
    }
    lines_ = std::move(lines);
    row_ = cursor_row;
    column_ %= static_cast<std::size_t>(columns);
    columns_ = columns;
    rows_ = rows;
    wrap_pending_ = false;
  }

  // Every line so far, also those that have scrolled away, without blanks at the end; none below the last used.
  std::vector<std::string> lines() const {
    std::vector<std::string> texts;
    for (const Line& line : lines_) {
      std::string text;
      for (const std::string& cell : trimmed(line, 0)) text += cell;
      texts.push_back(text);
    }
    while (!texts.empty() && texts.back().empty()) texts.pop_back();
    return texts;
  }
  std::size_t cursor_row() const { return row_; }
  std::size_t cursor_column() const { return column_; }
  int marks() const { return marks_; }
  const std::string& strange() const { return strange_; }

 private:
  using Line =
      std::vector<std::string>;  // a cell holds a character with its marks; empty: the right half of a wide one

  static Line trimmed(const Line& line, std::size_t least) {
    Line result = line;
    while (result.size() > least && result.back() == " ") result.pop_back();
    return result;
  }

  std::size_t step(std::string_view bytes) {
    const unsigned char first = static_cast<unsigned char>(bytes[0]);
    if (first == 0x1b) return escape(bytes);
    if (first == '\r') {
      column_ = 0;
      wrap_pending_ = false;
      return 1;
    }
    if (first == '\n') {
      line_feed();
      return 1;
    }
    if (first < 0x20) {
      strange_ += "control " + std::to_string(first) + "; ";
      return 1;
    }
    const std::size_t wanted = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (bytes.size() < wanted) return 0;
    const bars::Character character = bars::first_character(bytes);
    put(std::string(bytes.substr(0, character.bytes)), bars::character_width(character.value));
    return character.bytes;
  }

  std::size_t escape(std::string_view bytes) {
    if (bytes.size() < 2) return 0;
    if (bytes[1] != '[') {
      strange_ += "escape " + std::string(1, bytes[1]) + "; ";
      return 2;
    }
    const std::size_t end = bytes.find_first_not_of("0123456789;", 2);
    if (end == std::string_view::npos) return 0;
    const std::string parameter(bytes.substr(2, end - 2));
    const std::size_t count = parameter.empty() ? 1 : std::stoul(parameter);
    control(bytes[end], parameter, count);
    return end + 1;
  }

  void control(char kind, const std::string& parameter, std::size_t count) {
    wrap_pending_ = kind == 'm' && wrap_pending_;
    const std::size_t top =
        lines_.size() > static_cast<std::size_t>(rows_) ? lines_.size() - static_cast<std::size_t>(rows_) : 0;
    if (kind == 'm') {
    } else if (kind == 'A') {
      row_ = row_ >= top + count ? row_ - count : top;
    } else if (kind == 'K' && parameter.empty()) {
      line().resize(std::min(line().size(), column_));
    } else if (kind == 'J' && parameter.empty()) {
      line().resize(std::min(line().size(), column_));
      lines_.resize(row_ + 1);
    } else if (kind == 'z') {  // no terminal's: the tests' own mark
      ++marks_;
    } else {
      strange_ += "control sequence " + parameter + kind + "; ";
    }
  }

  void put(std::string character, int width) {
    if (width == 0) {
      if (column_ > 0 && line().size() >= column_) line()[column_ - 1] += character;
      return;
    }
    if (wrap_pending_ || column_ + static_cast<std::size_t>(width) > static_cast<std::size_t>(columns_)) {
      column_ = 0;
      wrap_pending_ = false;
      line_feed();
    }
    if (line().size() < column_ + static_cast<std::size_t>(width))
      line().resize(column_ + static_cast<std::size_t>(width), " ");
    line()[column_++] = std::move(character);
    if (width == 2) line()[column_++] = "";
    if (column_ == static_cast<std::size_t>(columns_)) {
      --column_;
      wrap_pending_ = true;
    }
  }

  // Goes down and stays in its column, as the terminal itself does; the line discipline adds the CR.
  void line_feed() {
    wrap_pending_ = false;
    ++row_;
    line();
  }

  Line& line() {
    if (lines_.size() <= row_) lines_.resize(row_ + 1);
    return lines_[row_];
  }

  int columns_;
  int rows_;
  std::vector<Line> lines_;
  std::size_t row_ = 0;  // of lines_
  std::size_t column_ = 0;
  bool wrap_pending_ = false;
  int marks_ = 0;
  std::string pending_;
  std::string strange_;
};

}  // namespace brood::testing
